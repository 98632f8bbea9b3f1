"""What is typed after --cfg-options arrives as it was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg.engine.config.option_text import read_option_value

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(PLAIN)
def test_a_literal_is_read_as_python_reads_it(value):
    assert read_option_value(repr(value)) == value
    assert type(read_option_value(repr(value))) is type(value)


@given(st.lists(st.text(alphabet='abcxyz ÄÖ,-/.\'"()', min_size=1), min_size=1).map('/'.join))
def test_a_path_arrives_as_typed_where_the_config_holds_a_text(path):
    path = '/data/' + path
    assert read_option_value(path, held='data/somewhere') == path
    assert read_option_value(path, held=None) == path


@pytest.mark.parametrize(
    ('text', 'held', 'value'),
    [
        # texts
        ('/data/my images', 'd', '/data/my images'),
        ('/data/rome,italy', 'd', '/data/rome,italy'),
        ('/data/rome,italy', None, '/data/rome,italy'),
        ('"/data/rome,italy"', 'd', '/data/rome,italy'),
        ("O'Brien's, 1996", 'd', "O'Brien's, 1996"),
        ('1,2', 'd', '1,2'),
        ('a=b=c', 'd', 'a=b=c'),
        ('', 'd', ''),
        ('5#2', 'd', '5#2'),
        ('007', 'd', '007'),
        ('2024_10', 'd', '2024_10'),
        ('(old)', 'd', '(old)'),
        ('{}.pth', 'd', '{}.pth'),
        # single values
        ('True', None, True),
        ('true', False, True),
        ('None', 'd', None),
        ('1e-4', 0.1, 1e-4),
        ('007', 3, 7),
        ('160_000', 3, 160000),
        ('inf', 35.0, float('inf')),
        # sequences
        ("('traffic light','car')", ('a',), ('traffic light', 'car')),
        ('traffic light,car', ('a',), ('traffic light', 'car')),
        ('traffic light,car', ['a'], ['traffic light', 'car']),
        ("'rome,italy',oslo", ['a'], ['rome,italy', 'oslo']),
        ('96,96', (512, 512), (96, 96)),
        ('1,2', None, [1, 2]),
        ('1,', [1, 2], [1]),
        ('(3)', (0, 1), (3,)),
        ('[.jpg,.png]', '.jpg', ['.jpg', '.png']),
        ('[(1, 2, 3), [a, b], c]', None, [(1, 2, 3), ['a', 'b'], 'c']),
        ('(1,2),(3,4)', [(1, 2)], [(1, 2), (3, 4)]),
        # dicts
        ("dict(type='BN', eps=[1e-3])", None, {'type': 'BN', 'eps': [1e-3]}),
        ('{"a": {"b": true}}', {}, {'a': {'b': True}}),
    ],
)
def test_what_a_text_means(text, held, value):
    read = read_option_value(text, held)
    assert read == value and type(read) is type(value)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match='do not match'):
        read_option_value('[1,2', held=[1])
    with pytest.raises(ValueError, match='no dict'):
        read_option_value('{a: 1}')
