import pytest

from mmseg.engine.launch import load_config


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'latin-1'])
@pytest.mark.parametrize('name', ['leaf.py', 'base.py', 'base.json'])
def test_a_config_in_another_encoding_is_named(tmp_path, encoding, name):
    """The file itself, or one that it inherits from."""
    base = name if name != 'leaf.py' else 'base.py'
    texts = {'leaf.py': f"_base_ = './{base}'\nb = 'caf\u00e9'\n", base: "a = 1\nb = '\u00e9'\n"}
    if base.endswith('json'):
        texts[base] = '{"a": 1,\n"b": "\u00e9"}'
    for file, text in texts.items():
        (tmp_path / file).write_bytes(text.encode('utf-8'))
    assert load_config(tmp_path / 'leaf.py').a == 1
    (tmp_path / name).write_bytes(texts[name].encode(encoding))
    with pytest.raises(ValueError, match=name.replace('.', r'\.')) as caught:
        load_config(tmp_path / 'leaf.py')
    assert ('not UTF-8' if encoding == 'latin-1' else 'begins with a byte-order mark') in str(caught.value)
