"""What a value typed on the command line means."""

import ast

OPENS, CLOSES, QUOTES = '([{', ')]}', '\'"'


def read_option_value(text: str, held: object = None) -> object:
    """The value that a text stands for: the Python literal where it is one, else the text itself, unchanged.

    Literals are numbers, True, False (true, false), None, quoted texts, and tuples, lists and dicts of them, nested as
    one likes. ``dict(a=1)`` is ``{'a': 1}``; within brackets and between commas words need no quotes: ``[cat, dog]``.
    Commas without brackets make a sequence where the config holds one, or where all between them are literals; never
    where the config holds a text.

    Args:
        text: the value as typed.
        held: what the config holds at its key so far; None if nothing.

    Raises:
        ValueError: brackets or quotes do not match where a sequence is due, or braces hold what is no dict.
    """
    bare, sequence = text.strip(), isinstance(held, (list, tuple))
    found, value = _literal(bare)
    listed = found and isinstance(value, tuple) and not _encloses(bare, '(')  # 1, 2
    if (listed and isinstance(held, str)) or (_digits_joined(bare) and not isinstance(held, (int, float))):
        return text
    if found and not listed:
        return (value,) if sequence and _encloses(bare, '(') and not isinstance(value, tuple) else value
    parts = _split(bare)
    if _encloses(bare, '{') and not isinstance(held, str):
        raise ValueError(f"{text} is no dict: write {{'key': value}} or dict(key=value), with texts in quotes")
    if sequence and parts is None:
        raise ValueError(f'{text}: brackets or quotes do not match')
    if _encloses(bare, '[') or (_encloses(bare, '(') and (sequence or len(_split(bare[1:-1]) or ()) > 1)):
        items = [read_option_value(part.strip()) for part in _split(bare[1:-1])]
        return items if bare[0] == '[' else tuple(items)
    if listed or (sequence and len(parts) > 1):
        items = [read_option_value(part.strip()) for part in parts]
        return tuple(items) if isinstance(held, tuple) else items
    return _number_or_text(text, held)


def _literal(text: str) -> tuple[bool, object]:
    """Whether a text is a literal, and its value."""
    if '#' in text and not any(quote in text for quote in QUOTES):
        return False, None  # no comment to people
    try:
        return True, ast.literal_eval(_Spelling().visit(ast.parse(text, mode='eval')))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False, None


class _Spelling(ast.NodeTransformer):
    """``dict(a=1)`` as ``{'a': 1}``, and true and false as Python writes them."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args and all(names):
            return ast.Dict([ast.Constant(name) for name in names], [keyword.value for keyword in node.keywords])
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(node.id.lower() == 'true') if node.id.lower() in ('true', 'false') else node


def _digits_joined(text: str) -> bool:
    """2024_10 is a number to Python, and a name to people."""
    return '_' in text and text.replace('_', '').isdigit()


def _number_or_text(text: str, held: object) -> object:
    """Numbers that Python does not write so: inf, nan, and 007 where the config holds a number."""
    word = text.strip().lower().lstrip('+-')
    if word in ('inf', 'infinity', 'nan') and not isinstance(held, str):
        return float(text)
    if word.isdigit() and isinstance(held, (int, float)) and not isinstance(held, bool):
        return int(text)
    return text


def _encloses(text: str, opening: str) -> bool:
    """Whether one pair of such brackets holds the whole text."""
    closing = CLOSES[OPENS.index(opening)]
    # Taken off, the pair must leave what matches by itself: (a)(b) does not.
    return len(text) > 1 and text[0] == opening and text[-1] == closing and _split(text[1:-1]) is not None


def _split(text: str) -> list[str] | None:
    """The parts between commas outside of brackets and quotes; None where those do not match."""
    parts, start, opened = [], 0, []
    for i, char in enumerate(text):
        if opened and opened[-1] in QUOTES:
            if char == opened[-1]:
                opened.pop()
        elif char in OPENS:
            opened.append(char)
        elif char in CLOSES:
            if not opened or OPENS.index(opened.pop()) != CLOSES.index(char):
                return None
        elif char in QUOTES and text[start:i].rstrip()[-1:] in ('', *OPENS, ',', ':', '='):
            opened.append(char)  # elsewhere it is an apostrophe
        elif char == ',' and not opened:
            parts.append(text[start:i])
            start = i + 1
    if opened:
        return None
    return [*parts, text[start:]] if text[start:].strip() or not parts else parts
