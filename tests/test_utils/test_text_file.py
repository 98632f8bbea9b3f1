import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg.utils.text_file import read_data, read_lines, read_text

ENCODINGS = {
    'utf-8': b'',
    'utf-8-sig': b'',
    'utf-16-le': codecs.BOM_UTF16_LE,
    'utf-16-be': codecs.BOM_UTF16_BE,
    'utf-32-le': codecs.BOM_UTF32_LE,
    'utf-32-be': codecs.BOM_UTF32_BE,
}
name = st.text(st.characters(exclude_categories=('Cs', 'Cc', 'Z', 'Cf')), min_size=1)


@given(
    names=st.lists(name, max_size=6),
    encoding=st.sampled_from(list(ENCODINGS)),
    end=st.sampled_from(['\n', '\r\n', '\r']),
    blanks=st.sampled_from(['', ' ', '\t ']),
    last=st.booleans(),
)
def test_any_systems_files(tmp_path_factory, names, encoding, end, blanks, last):
    file = tmp_path_factory.getbasetemp() / 'names.txt'
    text = (blanks + end).join(names) + end * last
    file.write_bytes(ENCODINGS[encoding] + text.encode(encoding))
    assert read_text(file) == text
    assert read_lines(file) == names


def test_odd_signs_are_no_line_ends_and_marks_in_between_are_none(tmp_path):
    file = tmp_path / 'names.txt'
    file.write_bytes('\ufeffa b\u2028c\n\n\ufeffd\x1ce\n'.encode())  # two files with marks, one after the other
    assert read_lines(file) == ['a b\u2028c', 'd\x1ce']


def test_blanks_that_nobody_sees_and_the_end_of_a_file_in_dos_are_no_names(tmp_path):
    file = tmp_path / 'names.txt'
    file.write_bytes('a\u200b\r\n\xa0b\r\n\x1a'.encode())
    assert read_lines(file) == ['a', 'b']


@pytest.mark.parametrize(
    ('content', 'place'),
    [
        ('cat\nchien\nmöwe\n'.encode('latin-1'), r"line 3, after 'm' \(byte 12 of the file, 0xf6\)"),
        ('a\r\nИмя\r\n'.encode('cp1251'), r"line 2, after '' \(byte 4 of the file, 0xc8\)"),
        ('名前\n'.encode('shift_jis'), r"line 1, after '' \(byte 1 of the file, 0x96\)"),
        ('cat\ndog\n'.encode('utf-16-le'), r"line 1, after 'c' \(byte 2 of the file, 0x00\), it is UTF-16 without"),
        (codecs.BOM_UTF16_LE + 'a\nb'.encode('utf-16-le')[:-1], r"line 2, after '' \(byte 7 of the file"),
        (codecs.BOM_UTF8 + b'a\rb\r\xff', r"line 3, after '' \(byte 8 of the file, 0xff\)"),
    ],
)
def test_other_encodings_are_refused_by_name_and_place(tmp_path, content, place):
    file = tmp_path / 'names.txt'
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"names\.txt' cannot be read as text: at {place}.*Save it as UTF-8"):
        read_lines(file)


def test_data(tmp_path):
    (tmp_path / 'a.json').write_bytes('[1, 2.5]'.encode('utf-16'))
    assert read_data(tmp_path / 'a.json') == [1, 2.5]
    (tmp_path / 'a.yaml').write_bytes(codecs.BOM_UTF8 + b'- 1\r\n- 2\r\n')
    assert read_data(tmp_path / 'a.yaml') == [1, 2]
    (tmp_path / 'a.json').write_bytes(b'[1,')
    with pytest.raises(ValueError, match=r"a\.json' is no JSON: .*line 1 column 4"):
        read_data(tmp_path / 'a.json')
    with pytest.raises(FileNotFoundError):
        read_data(tmp_path / 'b.json')
    with pytest.raises(ValueError, match='must end in'):
        read_data(tmp_path / 'b.csv')
