"""Folders that are half of something: what is found is said and counted, and nothing half is written."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from mmseg.datasets.discovery import discover
from mmseg.datasets.formats import Tree, find_source

from .drawn import CLASSES, SIZE, archive, coco, index_masks, labelme, save, scenes, voc, yolo


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / 'data'
    folder.mkdir()
    return folder


def look(data, tmp_path, **options) -> dict[str, tuple[int, list[str], bool]]:
    """The notes by their text."""
    found = discover(str(data), tmp_path / 'mine.py', iterations=1, size=32, **options)
    return {text: (count, examples, left_out) for count, text, examples, left_out in found.notes}


def refused(data, tmp_path, match: str, kind=ValueError, **options) -> None:
    with pytest.raises(kind, match=match):
        discover(str(data), tmp_path / 'mine.py', **options)
    assert [path.name for path in tmp_path.iterdir() if path != data] == [], 'nothing may be written'


def test_images_without_labels(data, tmp_path):
    index_masks(data, scenes())
    save(data / 'images' / 'extra.jpg', np.zeros((*SIZE, 3), dtype=np.uint8))
    assert look(data, tmp_path)['images without labels'] == (1, ['images/extra.jpg'], True)


def test_no_labels_at_all(data, tmp_path):
    for scene in scenes():
        save(data / f'{scene.name}.jpg', scene.image)
    refused(data, tmp_path, r'holds 6 files \(6 jpg\), 6 of them images, and no labels')


def test_two_label_sets(data, tmp_path):
    index_masks(data, scenes())
    shutil.copytree(data / 'masks', data / 'annotations')
    refused(data, tmp_path, r'several label maps for one image.*6 such as annotations/.*6 such as masks/.*--labels')
    assert look(data, tmp_path, labels='masks/') == {}


def test_masks_beside_another_format(data, tmp_path):
    labelme(data, scenes())
    for scene in scenes():
        save(data / 'masks' / f'{scene.name}.png', scene.labels)
    refused(data, tmp_path, r'several ways: labelme \(6 images\), masks \(6 images\).*--format')


def test_two_public_label_sets_of_voc_have_a_rule(data, tmp_path):
    voc(data, scenes())
    assert look(data, tmp_path) == {}


def test_labels_of_another_size(data, tmp_path):
    index_masks(data, scenes())
    save(data / 'masks' / 'photo3.png', np.zeros((SIZE[0], SIZE[1] + 2), dtype=np.uint8))
    count, examples, left_out = look(data, tmp_path)['label maps of another size than their image']
    assert count == 1 and left_out and '48x66' in examples[0] and '48x64' in examples[0]


def test_images_of_several_sizes_are_no_trouble(data, tmp_path):
    index_masks(data, scenes())
    save(data / 'images' / 'photo3.jpg', np.zeros((90, 70, 3), dtype=np.uint8))
    save(data / 'masks' / 'photo3.png', np.ones((90, 70), dtype=np.uint8))
    found = discover(str(data), tmp_path / 'mine.py')
    assert found.sizes == {SIZE: 5, (90, 70): 1}


def test_empty_and_cut_json(data, tmp_path):
    labelme(data, scenes())
    (data / 'photo0.json').write_text('')
    text = (data / 'photo1.json').read_text()
    (data / 'photo1.json').write_text(text[: len(text) // 2])
    notes = look(data, tmp_path)
    assert notes['annotation files that are empty or damaged'][0] == 2
    assert notes['images without labels'][0] == 2


def test_only_an_empty_json(data, tmp_path):
    coco(data, scenes())
    (data / 'instances.json').write_text(' ')
    refused(data, tmp_path, r'1 annotation files are empty, such as instances.json')


def test_polygons_outside_of_the_image(data, tmp_path):
    made = scenes()
    coco(data, made)
    document = json.loads((data / 'instances.json').read_text())
    document['annotations'][0]['segmentation'] = [[-10.0, -10, 20, -10, 20, 20, -10, 20]]
    document['annotations'][2]['segmentation'] = [[500.0, 500, 510, 500, 510, 510]]
    (data / 'instances.json').write_text(json.dumps(document))
    notes = look(data, tmp_path)
    assert notes['shapes that reach out of their image, cut at its edge'] == (1, ['images/photo0.jpg'], False)
    assert notes['shapes that cover no pixel'] == (1, ['images/photo1.jpg'], False)
    labels = np.asarray(Image.open(tmp_path / 'mine_files' / 'labels' / 'images' / 'photo0.png'))
    assert (labels[:20, :20] == CLASSES.index('dog')).any()


def test_category_ids_with_gaps(data, tmp_path):
    coco(data, scenes())
    count, examples, _ = look(data, tmp_path)['category ids that are not used (classes are counted without gaps)']
    assert count == 90 - 2 and examples[0] == '1'


def test_label_values_with_gaps(data, tmp_path):
    for scene in scenes():
        save(data / 'images' / f'{scene.name}.jpg', scene.image)
        save(data / 'masks' / f'{scene.name}.png', np.array([0, 4, 9], dtype=np.uint8)[scene.labels])
    found = discover(str(data), tmp_path / 'mine.py')
    assert found.classes.names == ['class_0', 'class_4', 'class_9']
    assert found.classes.label_map == {4: 1, 9: 2}
    assert any('do not occur' in text and count == 7 for count, text, _, _ in found.notes)


def test_masks_of_0_and_255_are_two_classes(data, tmp_path):
    for scene in scenes():
        save(data / 'images' / f'{scene.name}.jpg', scene.image)
        save(data / 'masks' / f'{scene.name}.png', np.where(scene.labels, 255, 0).astype(np.uint8))
    found = discover(str(data), tmp_path / 'mine.py')
    assert found.classes.names == ['background', 'foreground']
    assert found.classes.label_map == {255: 1}


def test_more_values_than_names(data, tmp_path):
    index_masks(data, scenes())
    (data / 'classes.txt').write_text('one')
    refused(data, tmp_path, r'value 1 .* 1 classes, one \(from classes.txt\)|value 2')


def test_two_images_of_one_name(data, tmp_path):
    index_masks(data, scenes())
    save(data / 'images' / 'photo2.png', np.zeros((*SIZE, 3), dtype=np.uint8))
    count, examples, left_out = look(data, tmp_path)['images of one name, to which the same label map would belong']
    assert (count, left_out) == (2, True)
    assert examples == ['images/photo2.jpg and images/photo2.png']


def test_an_annotation_that_two_images_may_be_meant_by(data, tmp_path):
    coco(data, scenes())
    save(data / 'more' / 'photo4.jpg', np.zeros((*SIZE, 3), dtype=np.uint8))
    notes = look(data, tmp_path)
    assert notes['annotations whose image cannot be told: several have its name'][0] == 1


def test_several_masks_of_one_image(data, tmp_path):
    index_masks(data, scenes())
    for part in ('left', 'right'):
        save(data / 'masks' / f'photo1_{part}.png', np.zeros(SIZE, dtype=np.uint8))
    (data / 'masks' / 'photo1.png').unlink()
    count, examples, left_out = look(data, tmp_path)['images with several label maps']
    assert (count, left_out) == (1, True) and 'photo1_left.png' in examples[0]


def test_folders_that_differ_in_more_than_their_role(data, tmp_path):
    """As ISPRS Potsdam comes: 2_Ortho_RGB/top_potsdam_2_10_RGB.tif, 5_Labels_all/top_potsdam_2_10_label.tif."""
    for number, scene in enumerate(scenes(3)):
        save(data / '2_Ortho_RGB' / f'top_potsdam_2_1{number}_RGB.tif', scene.image)
        save(data / '5_Labels_all' / f'top_potsdam_2_1{number}_label.tif', scene.labels)
    assert look(data, tmp_path) == {}


def test_a_zip_that_is_cut(data, tmp_path):
    archive(data, scenes())
    content = (data / 'all.zip').read_bytes()
    (data / 'all.zip').write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match='no zip archive, or its end is missing'):
        discover(str(data / 'all.zip'), tmp_path / 'mine.py')
    assert [path.name for path in tmp_path.iterdir()] == ['data']


def test_damaged_images_and_label_maps(data, tmp_path):
    index_masks(data, scenes(8))
    for name in ('images/photo1.jpg', 'masks/photo2.png'):
        content = (data / name).read_bytes()
        (data / name).write_bytes(content[: len(content) // 2])
    (data / 'masks' / 'photo3.png').write_bytes(b'')
    notes = look(data, tmp_path)
    assert notes['truncated or damaged images'][0] == 1
    assert notes['truncated or damaged label maps'][0] == 1
    assert notes['empty label maps'][0] == 1


def test_colours_that_come_from_jpeg(data, tmp_path):
    rng = np.random.default_rng(0)
    for scene in scenes(3):
        save(data / 'images' / f'{scene.name}.jpg', scene.image)
        save(data / 'masks' / f'{scene.name}.png', rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    refused(data, tmp_path, 'none of 3 pairs can be used: 3 label maps of very many colours')


def test_a_colour_without_a_name_is_ignored_and_said(data, tmp_path):
    palette = np.array([[0, 0, 0], [255, 0, 0], [9, 9, 9]], dtype=np.uint8)
    for scene in scenes():
        save(data / 'images' / f'{scene.name}.jpg', scene.image)
        save(data / 'masks' / f'{scene.name}.png', palette[scene.labels])
    (data / 'label_colors.txt').write_text('0 0 0 ground\n255 0 0 cat\n')
    found = discover(str(data), tmp_path / 'mine.py')
    assert found.classes.label_palette == palette.tolist()
    assert found.classes.label_map == {2: -1}
    assert any('does not name' in text and examples == ['[9, 9, 9]'] for _, text, examples, _ in found.notes)


def test_names_without_colours_for_masks_in_colours(data, tmp_path):
    palette = np.array([[0, 0, 0], [255, 0, 0], [9, 9, 9]], dtype=np.uint8)
    for scene in scenes(3):
        save(data / 'images' / f'{scene.name}.jpg', scene.image)
        save(data / 'masks' / f'{scene.name}.png', palette[scene.labels])
    refused(data, tmp_path, 'does not say which is which', classes='ground,cat,dog')
    assert discover(str(data), tmp_path / 'mine.py').classes.names == ['colour_0_0_0', 'colour_9_9_9', 'colour_255_0_0']


def test_indices_in_three_equal_channels(data, tmp_path):
    for scene in scenes(3):
        save(data / 'images' / f'{scene.name}.jpg', scene.image)
        save(data / 'masks' / f'{scene.name}.png', scene.labels[..., None].repeat(3, axis=2))
    found = discover(str(data), tmp_path / 'mine.py', classes='ground,cat,dog')
    assert found.classes.label_palette == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]


def test_yolo_boxes_are_no_polygons(data, tmp_path):
    yolo(data, scenes())
    file = data / 'labels' / 'train' / 'photo1.txt'
    file.write_text(file.read_text() + '\n0 0.5 0.5 0.2 0.2\n')
    notes = look(data, tmp_path)
    assert notes['shapes that enclose no area (points, lines, boxes), not drawn'][0] == 1


def test_a_yolo_class_without_a_name(data, tmp_path):
    yolo(data, scenes())
    (data / 'data.yaml').write_text('names: [cat]')
    refused(data, tmp_path, r'class 1, and data.yaml names 1: \[.cat.\]')


def test_one_pair_is_too_few(data, tmp_path):
    index_masks(data, scenes(1))
    refused(data, tmp_path, 'too few')


def test_one_image_many_times_is_one_image(data, tmp_path):
    scene = scenes(1)[0]
    for number in range(4):
        save(data / 'images' / f'{number}.png', scene.image)
        save(data / 'masks' / f'{number}.png', scene.labels)
    refused(data, tmp_path, 'all 4 images are copies of one')


def test_a_config_that_is_there_stays(data, tmp_path):
    index_masks(data, scenes())
    (tmp_path / 'mine.py').write_text('mine = 1')
    with pytest.raises(FileExistsError, match='--overwrite'):
        discover(str(data), tmp_path / 'mine.py')
    assert (tmp_path / 'mine.py').read_text() == 'mine = 1'


def test_an_interrupted_run_goes_on_and_changed_shapes_are_drawn_anew(data, tmp_path):
    coco(data, scenes())
    discover(str(data), tmp_path / 'mine.py')
    folder = tmp_path / 'mine_files' / 'labels' / 'images'
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / 'photo0.png').unlink()
    document = json.loads((data / 'instances.json').read_text())
    document['annotations'][2]['segmentation'] = [[1.0, 1, 9, 1, 9, 9, 1, 9]]
    (data / 'instances.json').write_text(json.dumps(document))
    discover(str(data), tmp_path / 'mine.py', overwrite=True)
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {name for name in before if after[name] != before[name]} == {'photo0.png', 'photo1.png'}


def test_two_categories_of_one_id(data):
    coco(data, scenes())
    text = (data / 'instances.json').read_text()
    (data / 'more.json').write_text(re.sub('"cat"', '"cow"', text))
    with pytest.raises(ValueError, match=r"category 7 is 'cat' in instances.json and 'cow' in more.json"):
        find_source(Tree(str(data)))
