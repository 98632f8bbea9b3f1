"""Annotation files that are whole, and have something else where a tool writes a name, a number or a list."""

import copy
import json
from collections.abc import Iterator

import pytest

from mmseg.datasets.formats import Tree, find_source

from .drawn import coco, coco_panoptic, coco_run_lengths, cvat, label_studio, labelme, scenes, yolo

FILES = {
    'coco': (coco, 'instances.json'),
    'coco-runs': (coco_run_lengths, 'instances.json'),
    'coco-panoptic': (coco_panoptic, 'annotations/panoptic_train2017.json'),
    'labelme': (labelme, 'photo0.json'),
    'labelme-mask': (labelme, 'photo2.json'),
    'label-studio': (label_studio, 'export.json'),
}


def places(part, before: tuple = ()) -> Iterator[tuple]:
    """The way to each value of a document, and of its lists to the first two."""
    entries = part.items() if isinstance(part, dict) else enumerate(part[:2]) if isinstance(part, list) else ()
    for key, value in entries:
        yield (*before, key)
        yield from places(value, (*before, key))


def changed(document, place: tuple, *value):
    """With another value at a place, or none."""
    document = part = copy.deepcopy(document)
    for key in place[:-1]:
        part = part[key]
    if value:
        [part[place[-1]]] = value
    else:
        del part[place[-1]]
    return document


@pytest.mark.parametrize('name', FILES)
def test_whatever_is_wrong_the_file_is_named(name, tmp_path):
    """Or it is no mistake: a note, or another format."""
    write, base = FILES[name]
    write(tmp_path, scenes(3))
    file = tmp_path / base
    document, refusals = json.loads(file.read_text()), 0
    for place in places(document):
        for value in ((), (None,), ('text',), ([],)):
            file.write_text(json.dumps(changed(document, place, *value)))
            try:
                find_source(Tree(str(tmp_path)))
            except ValueError as error:
                assert base in str(error) or 'labelled in several ways' in str(error) or 'no labels' in str(error), (
                    error
                )
                refusals += 1
    assert refusals


@pytest.mark.parametrize(
    ('name', 'place', 'value', 'message'),
    [
        (
            'coco',
            ('images', 0, 'file_name'),
            (),
            r"instances.json: this image cannot be read, 'file_name' is missing: {",
        ),
        ('coco', ('categories', 0, 'id'), ('90',), "this category cannot be read, the id '90' is no integer"),
        ('coco', ('annotations', 0, 'area'), ('big',), r'this annotation cannot be read, could not convert.*big'),
        ('coco', ('categories',), ([],), 'instances.json lists no categories'),
        ('coco', ('categories', 0, 'name'), ('cat',), "2 categories are called 'cat'"),
        ('labelme', ('shapes', 0, 'label'), (), r"photo0.json: this shape cannot be read, 'label' is missing"),
        ('labelme', ('imageHeight',), ('high',), r"photo0.json: this size cannot be read, .*'high'"),
        ('label-studio', (0, 'annotations', 0, 'result', 0, 'original_width'), (), r"'original_width' is missing"),
    ],
)
def test_what_is_said(name, place, value, message, tmp_path):
    write, base = FILES[name]
    write(tmp_path, scenes(3))
    (tmp_path / base).write_text(json.dumps(changed(json.loads((tmp_path / base).read_text()), place, *value)))
    with pytest.raises(ValueError, match=message):
        find_source(Tree(str(tmp_path)))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('xtl=', 'x=', r"annotations.xml: this box cannot be read, 'xtl' is missing"),
        ('.00,', '.00;', r'annotations.xml: this polygon cannot be read'),
        ('rle="', 'rle="a', r'annotations.xml: this mask cannot be read, .*a0'),
        ('z_order="', 'z_order="x', r"annotations.xml: this polygon cannot be read, .*'x1'"),
        (' height="', ' height="x', r"annotations.xml: this image cannot be read, .*'x48'.*photo0.jpg"),
        ('<color>#c8', '<color>#gg', r"annotations.xml: this label cannot be read, .*'gg'"),
    ],
)
def test_cvat(old, new, message, tmp_path):
    cvat(tmp_path, scenes(3))
    file = tmp_path / 'annotations.xml'
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        find_source(Tree(str(tmp_path)))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('names: cat', r'data.yaml: this list of names cannot be read, write \[cat, dog\] or \{0: cat'),
        ('names: {cat: 0, dog: 1}', 'data.yaml: this list of names cannot be read, .*cat'),
        ('names: [cat', 'data.yaml is no YAML'),
    ],
)
def test_yolo_names(text, message, tmp_path):
    yolo(tmp_path, scenes())
    (tmp_path / 'data.yaml').write_text(text)
    with pytest.raises(ValueError, match=message):
        find_source(Tree(str(tmp_path)))


def test_cvat_s_shapes_without_a_label_are_left_out(tmp_path):
    cvat(tmp_path, scenes(3))
    file = tmp_path / 'annotations.xml'
    whole = find_source(Tree(str(tmp_path)))
    file.write_text(file.read_text().replace(' label="', ' was="', 1))
    source = find_source(Tree(str(tmp_path)))
    assert source.classes == whole.classes
    assert [len(sample.shapes) for sample in source.samples] == [
        len(whole.samples[0].shapes) - 1,
        *(len(sample.shapes) for sample in whole.samples[1:]),
    ]


def test_yolo_without_names_counts_classes(tmp_path):
    yolo(tmp_path, scenes())
    (tmp_path / 'data.yaml').write_text('- train\n')
    assert find_source(Tree(str(tmp_path))).classes == ['background', 'class_0', 'class_1']
    (tmp_path / 'classes.txt').write_text('cat\ndog\n')
    assert find_source(Tree(str(tmp_path))).classes == ['background', 'cat', 'dog']


def test_entries_that_are_left_out_are_counted(tmp_path):
    coco(tmp_path, scenes(3))
    file = tmp_path / 'instances.json'
    document = json.loads(file.read_text())
    document['annotations'][0]['category_id'] = 5
    document['annotations'][1]['segmentation'] = []
    document['annotations'][2]['image_id'] = document['annotations'][3]['image_id'] = 99
    file.write_text(json.dumps(document))
    source = find_source(Tree(str(tmp_path)))
    notes = {note.text: note.count for note in source.notes}
    assert notes['annotations of a category or an image that the file does not list, not drawn'] == 3
    assert notes['shapes that enclose no area (points, lines, boxes), not drawn'] == 1
    assert notes['images that are listed without an object: background only'] == 1
    assert [len(sample.shapes) for sample in source.samples] == [0, 0, 2]


def test_label_studio_s_short_export(tmp_path):
    """ "JSON-MIN" has results in the tasks themselves."""
    label_studio(tmp_path, scenes(3))
    file = tmp_path / 'export.json'
    full = find_source(Tree(str(tmp_path)))
    short = [
        {
            'id': task['id'],
            'image': task['data']['image'],
            'label': [{**result, **result['value']} for result in task['annotations'][0]['result']],
        }
        for task in json.loads(file.read_text())
    ]
    for task in short:
        for result in task['label']:
            del result['value'], result['type']
    file.write_text(json.dumps(short))
    source = find_source(Tree(str(tmp_path)))
    assert source.classes == full.classes and len(source.samples) == 3
    assert [[type(s) for s in sample.shapes] for sample in source.samples] == [
        [type(s) for s in sample.shapes] for sample in full.samples
    ]
