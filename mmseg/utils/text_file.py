"""Text files that people write by hand, on any system: read rightly, or refused with the place of what is wrong."""

import codecs
import io
import re
from pathlib import Path
from typing import Any

from mmengine import fileio

# A file's first bytes -> its encoding. UTF-32's little-endian mark begins with UTF-16's.
MARKS = {
    codecs.BOM_UTF8: 'utf-8',
    codecs.BOM_UTF32_LE: 'utf-32-le',
    codecs.BOM_UTF32_BE: 'utf-32-be',
    codecs.BOM_UTF16_LE: 'utf-16-le',
    codecs.BOM_UTF16_BE: 'utf-16-be',
}
LINE_ENDS = re.compile(r'\r\n|\r|\n')  # str.splitlines knows others, which may stand inside of a name
MARK = '\ufeff'
AROUND = MARK + ' \t\f\v\xa0\u200b\x1a'  # blanks, also those of web pages, and the sign by which DOS ended a file
SAVE = 'Save it as UTF-8, in an editor or by: iconv -f OLD_ENCODING -t UTF-8 OLD_FILE > NEW_FILE'


def read_text(path: str | Path, backend_args: dict | None = None) -> str:
    """A text file in UTF-8, or in UTF-8, UTF-16 or UTF-32 with a byte-order mark, without the mark.

    Args:
        path: the file; any that :mod:`mmengine.fileio` reads.
        backend_args: storage backend of :mod:`mmengine.fileio`; None goes by the path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is in another encoding; the message says where that shows.
    """
    content = fileio.get(path, backend_args=backend_args)
    mark = next((mark for mark in MARKS if content.startswith(mark)), b'')
    encoding = MARKS.get(mark, 'utf-8')
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        start = error.start + len(mark)
        before = content[len(mark) : start].decode(encoding, errors='ignore')
        raise _refusal(path, content, start, before, f'it is not {encoding.upper()}') from None
    if '\0' in text:  # every other byte of UTF-16 is one, and no text has any
        before = text[: text.index('\0')]
        start = len(mark) + len(before.encode(encoding))
        raise _refusal(path, content, start, before, 'it is UTF-16 without a byte-order mark, or no text')
    return text


def read_lines(path: str | Path, backend_args: dict | None = None) -> list[str]:
    """The lines of :func:`read_text` that are not empty, without blanks around them; any system's line ends."""
    # Files that were appended to each other have marks at other places than the start.
    lines = (line.strip(AROUND) for line in LINE_ENDS.split(read_text(path, backend_args)))
    return [line for line in lines if line]


def require_plain(path: str | Path) -> None:
    """Make sure that readers of other packages, which take UTF-8 without a byte-order mark only, can read a file.

    Raises:
        ValueError: they cannot; the message says why.
    """
    read_text(path)
    if Path(path).read_bytes().startswith(tuple(MARKS)):
        raise ValueError(
            f"'{path}' begins with a byte-order mark, which has no place in it. Save it as UTF-8 without one (some "
            "editors' name for UTF-8 with one is 'UTF-8 with BOM' or 'UTF-8 signature')"
        )


def read_data(path: str | Path) -> Any:
    """What a JSON or YAML file holds.

    Raises:
        ValueError: it is in another encoding, or no JSON or YAML; the message names the file and the place.
    """
    file_format = Path(path).suffix.lstrip('.').lower()
    if file_format not in ('json', 'yaml', 'yml'):
        raise ValueError(f"'{path}' must end in .json, .yaml or .yml")
    try:
        return fileio.load(io.StringIO(read_text(path)), file_format=file_format)
    except Exception as error:  # each parser has its own
        raise (
            error if str(path) in str(error) else ValueError(f"'{path}' is no {file_format.upper()}: {error}")
        ) from None


def _refusal(path: str | Path, content: bytes, start: int, before: str, reason: str) -> ValueError:
    lines = LINE_ENDS.split(before)
    return ValueError(
        f"'{path}' cannot be read as text: at line {len(lines)}, after {lines[-1][-20:]!r} (byte {start + 1} of the "
        f'file, 0x{content[start]:02x}), {reason}. {SAVE}'
    )
