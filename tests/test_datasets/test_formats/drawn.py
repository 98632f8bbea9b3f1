"""Images with known labels, written in each format that people have."""

import base64
import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

SIZE = (48, 64)  # height, width
CLASSES = ('background', 'cat', 'dog')
PALETTE = [[0, 0, 0], [200, 30, 40], [10, 90, 250]]


@dataclass
class Scene:
    """An image, and rectangles (class, left, top, right, bottom), each later one within those before."""

    name: str
    image: np.ndarray
    boxes: list[tuple[int, int, int, int, int]]

    @property
    def labels(self) -> np.ndarray:
        labels = np.zeros(SIZE, dtype=np.uint8)
        for index, left, top, right, bottom in self.boxes:
            labels[top:bottom, left:right] = index
        return labels

    def corners(self, box) -> list[tuple[int, int]]:
        _, left, top, right, bottom = box
        return [(left, top), (right, top), (right, bottom), (left, bottom)]


def scenes(count: int = 6) -> list[Scene]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        left, top = int(rng.integers(2, 16)), int(rng.integers(2, 12))
        outer = (1, left, top, left + int(rng.integers(20, 40)), top + int(rng.integers(16, 30)))
        inner = (2, left + 4, top + 3, left + 4 + int(rng.integers(4, 12)), top + 3 + int(rng.integers(4, 10)))
        image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        made.append(Scene(f'photo{number}', image, [outer, inner]))
    return made


def save(path: Path, array: np.ndarray, **kwargs) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.npy':
        np.save(path, array)
    else:
        Image.fromarray(array).save(path, **kwargs)


def coded(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format='PNG')
    return file.getvalue()


def index_masks(root: Path, made: list[Scene]) -> None:
    for scene in made:
        save(root / 'images' / f'{scene.name}.jpg', scene.image)
        save(root / 'masks' / f'{scene.name}.png', scene.labels)
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def palette_masks_in_one_folder(root: Path, made: list[Scene]) -> None:
    for scene in made:
        save(root / f'{scene.name}.png', scene.image)
        mask = Image.fromarray(scene.labels, mode='P')
        mask.putpalette(sum(PALETTE, []))
        mask.save(root / f'{scene.name}_mask.png')
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def folders_of_other_names(root: Path, made: list[Scene]) -> None:
    for number, scene in enumerate(made):
        split = 'val' if number == 0 else 'train'
        save(root / 'A' / split / f'{scene.name}.jpg', scene.image)
        save(root / 'B' / split / f'{scene.name}.png', scene.labels)
    (root / 'names.txt').write_text('0 background\n1 cat\n2 dog')


def colour_masks(root: Path, made: list[Scene]) -> None:
    for number, scene in enumerate(made):
        split = 'val' if number == 0 else 'train'
        save(root / split / f'{scene.name}.png', scene.image)
        save(root / f'{split}_labels' / f'{scene.name}_L.png', np.array(PALETTE, dtype=np.uint8)[scene.labels])
    rows = [f'{name},{r},{g},{b}' for name, (r, g, b) in zip(CLASSES, PALETTE, strict=True)]
    (root / 'class_dict.csv').write_text('\n'.join(['name,r,g,b', *rows]))


def voc(root: Path, made: list[Scene]) -> None:
    for scene in made:
        save(root / 'JPEGImages' / f'{scene.name}.jpg', scene.image)
        mask = Image.fromarray(scene.labels, mode='P')
        mask.putpalette(sum(PALETTE, []))
        for folder in ('SegmentationClass', 'SegmentationObject'):
            (root / folder).mkdir(exist_ok=True)
            mask.save(root / folder / f'{scene.name}.png')
    lists = root / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('\n'.join(scene.name for scene in made[1:]))
    (lists / 'val.txt').write_text(made[0].name)
    (root / 'labelmap.txt').write_text(
        '# label:color_rgb:parts:actions\n'
        + '\n'.join(f'{name}:{r},{g},{b}::' for name, (r, g, b) in zip(CLASSES, PALETTE, strict=True))
    )


def coco(root: Path, made: list[Scene], run_lengths: bool = False) -> None:
    document = {
        'images': [],
        'annotations': [],
        'categories': [{'id': 90, 'name': 'dog'}, {'id': 7, 'name': 'cat'}],
    }
    for number, scene in enumerate(made):
        save(root / 'images' / f'{scene.name}.jpg', scene.image)
        document['images'].append({'id': number, 'file_name': f'{scene.name}.jpg', 'height': SIZE[0], 'width': SIZE[1]})
        for box in reversed(scene.boxes):  # the order of a file means nothing
            area = (box[3] - box[1]) * (box[4] - box[2])
            shape = [np.array(scene.corners(box)).ravel().tolist()]
            if run_lengths:
                mask = np.zeros(SIZE, dtype=np.uint8)
                mask[box[2] : box[4], box[1] : box[3]] = 1
                shape = {'size': list(SIZE), 'counts': runs(mask.T)}
            document['annotations'].append(
                {
                    'id': len(document['annotations']), 'image_id': number, 'category_id': {1: 7, 2: 90}[box[0]],
                    'segmentation': shape, 'area': area, 'iscrowd': int(run_lengths),
                }
            )  # fmt: skip
    (root / 'instances.json').write_text(json.dumps(document))


def runs(mask: np.ndarray) -> list[int]:
    """Lengths of runs, outside first."""
    flat = np.concatenate([[0], mask.ravel(), [2]])
    return np.diff([0, *np.flatnonzero(np.diff(flat))]).tolist()


def coco_run_lengths(root: Path, made: list[Scene]) -> None:
    coco(root, made, run_lengths=True)


def coco_compressed(root: Path, made: list[Scene]) -> None:
    masks = pytest.importorskip('pycocotools.mask', reason='COCO compressed run lengths are made with pycocotools')
    coco(root, made, run_lengths=True)
    document = json.loads((root / 'instances.json').read_text())
    for annotation in document['annotations']:
        encoded = masks.frPyObjects(annotation['segmentation'], *SIZE)
        annotation['segmentation']['counts'] = encoded['counts'].decode()
    (root / 'instances.json').write_text(json.dumps(document))


def coco_panoptic(root: Path, made: list[Scene]) -> None:
    categories = [{'id': 3, 'name': 'background'}, {'id': 5, 'name': 'cat'}, {'id': 9, 'name': 'dog'}]
    document = {'images': [], 'annotations': [], 'categories': categories}
    for number, scene in enumerate(made):
        save(root / 'train2017' / f'{scene.name}.jpg', scene.image)
        ids = scene.labels.astype(np.int64) * 700 + 300 + number
        colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        save(root / 'annotations' / 'panoptic_train2017' / f'{scene.name}.png', colours)
        document['images'].append({'id': number, 'file_name': f'{scene.name}.jpg'})
        info = [{'id': k * 700 + 300 + number, 'category_id': (3, 5, 9)[k]} for k in range(3)]
        entry = {'image_id': number, 'file_name': f'{scene.name}.png', 'segments_info': info}
        document['annotations'].append(entry)
    (root / 'annotations' / 'panoptic_train2017.json').write_text(json.dumps(document))


def labelme(root: Path, made: list[Scene]) -> None:
    for scene in made:
        save(root / f'{scene.name}.jpg', scene.image)
        kinds = ('polygon', 'rectangle', 'mask')
        shapes = []
        for place, box in enumerate(scene.boxes):
            kind = kinds[(place + int(scene.name[-1])) % 3]
            entry = {'label': CLASSES[box[0]], 'shape_type': kind, 'points': scene.corners(box)}
            if kind == 'rectangle':
                entry['points'] = [box[1:3], box[3:5]]
            if kind == 'mask':
                entry['points'] = [box[1:3], (box[3] - 1, box[4] - 1)]
                full = np.full((box[4] - box[2], box[3] - box[1]), 255, dtype=np.uint8)
                entry['mask'] = base64.b64encode(coded(full)).decode()
            shapes.append(entry)
        document = {'shapes': shapes, 'imagePath': f'..\\somewhere\\{scene.name}.jpg'}
        document |= {'imageHeight': SIZE[0], 'imageWidth': SIZE[1]}
        (root / f'{scene.name}.json').write_text(json.dumps(document))


def cvat(root: Path, made: list[Scene]) -> None:
    top = ElementTree.Element('annotations')
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(top, 'meta'), 'task'), 'labels')
    for name, colour in zip(CLASSES[1:], PALETTE[1:], strict=True):
        label = ElementTree.SubElement(labels, 'label')
        ElementTree.SubElement(label, 'name').text = name
        ElementTree.SubElement(label, 'color').text = '#{:02x}{:02x}{:02x}'.format(*colour)
    for number, scene in enumerate(made):
        save(root / 'images' / f'{scene.name}.jpg', scene.image)
        size = {'width': str(SIZE[1]), 'height': str(SIZE[0])}
        image = ElementTree.SubElement(top, 'image', id=str(number), name=f'{scene.name}.jpg', **size)
        for order, box in reversed(list(enumerate(scene.boxes))):
            common = {'label': CLASSES[box[0]], 'z_order': str(order)}
            _, left, upper, right, lower = box
            if number % 3 == 0:
                points = ';'.join(f'{x}.00,{y}.00' for x, y in scene.corners(box))
                ElementTree.SubElement(image, 'polygon', points=points, **common)
            elif number % 3 == 1:
                edges = {'xtl': left, 'ytl': upper, 'xbr': right, 'ybr': lower}
                ElementTree.SubElement(image, 'box', {k: str(v) for k, v in edges.items()}, **common)
            else:
                window = {'left': left, 'top': upper, 'width': right - left, 'height': lower - upper}
                rle = f'0, {(right - left) * (lower - upper)}'
                ElementTree.SubElement(image, 'mask', {k: str(v) for k, v in window.items()}, rle=rle, **common)
    ElementTree.ElementTree(top).write(root / 'annotations.xml')


def label_studio(root: Path, made: list[Scene]) -> None:
    tasks = []
    for number, scene in enumerate(made):
        save(root / f'{scene.name}.jpg', scene.image)
        results = []
        for box in scene.boxes:
            _, left, top, right, bottom = box
            percent = [(100 * x / SIZE[1], 100 * y / SIZE[0]) for x, y in scene.corners(box)]
            kind = ('polygonlabels', 'rectanglelabels', 'brushlabels')[number % 3]
            value = {kind: [CLASSES[box[0]]]}
            if kind == 'polygonlabels':
                value['points'] = percent
            elif kind == 'rectanglelabels':
                (x, y), (x1, y1) = percent[0], percent[2]
                value |= {'x': x, 'y': y, 'width': x1 - x, 'height': y1 - y, 'rotation': 0}
            else:
                mask = np.zeros((*SIZE, 4), dtype=np.uint8)
                mask[top:bottom, left:right] = 255
                value |= {'format': 'rle', 'rle': pack_rle(mask.ravel()).tolist()}
            results.append({'type': kind, 'value': value, 'original_width': SIZE[1], 'original_height': SIZE[0]})
        url = f'/data/upload/1/0123abcd-{scene.name}.jpg'
        tasks.append({'id': number, 'data': {'image': url}, 'annotations': [{'result': results}]})
    (root / 'export.json').write_text(json.dumps(tasks))


def pack_rle(values: np.ndarray) -> np.ndarray:
    """The scheme "rle-pack", with runs of up to 2**16 and literals of up to 8 numbers."""
    bits = [format(len(values), '032b'), format(7, '05b'), *(format(width - 1, '04b') for width in (3, 4, 8, 16))]
    place = 0
    while place < len(values):
        end = place + 1
        while end < len(values) and values[end] == values[place] and end - place < 2**16:
            end += 1
        if end - place == 1 and place + 2 <= len(values):  # a literal of two
            bits += ['0', '00', format(1, '03b'), *(format(int(value), '08b') for value in values[place : place + 2])]
            end = place + 2
        else:
            bits += ['1', '11', format(end - place - 1, '016b'), format(int(values[place]), '08b')]
        place = end
    text = ''.join(bits)
    return np.packbits([int(bit) for bit in text + '0' * (-len(text) % 8)])


def yolo(root: Path, made: list[Scene]) -> None:
    for number, scene in enumerate(made):
        split = 'val' if number == 0 else 'train'
        save(root / 'images' / split / f'{scene.name}.jpg', scene.image)
        lines = []
        for box in reversed(scene.boxes):
            points = ' '.join(f'{x / SIZE[1]!r} {y / SIZE[0]!r}' for x, y in scene.corners(box))
            lines.append(f'{box[0] - 1} {points}')
        path = root / 'labels' / split / f'{scene.name}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(lines))
    (root / 'data.yaml').write_text('train: images/train\nval: images/val\nnames: [cat, dog]\n')


def csv_of_pairs(root: Path, made: list[Scene]) -> None:
    rows = [['mask', 'image', 'split']]
    for number, scene in enumerate(made):
        save(root / 'in' / f'{scene.name}.jpg', scene.image)
        save(root / 'out' / f'x{number * 7}.png', scene.labels)
        rows.append([f'out/x{number * 7}.png', f'in/{scene.name}.jpg', 'valid' if number == 0 else 'train'])
    with open(root / 'pairs.csv', 'w', newline='') as file:
        csv.writer(file, delimiter=';').writerows(rows)
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def arrays(root: Path, made: list[Scene]) -> None:
    rng = np.random.default_rng(1)
    for scene in made:
        save(root / 'images' / f'{scene.name}.npy', rng.normal(0, 3, (5, *SIZE)))
        save(root / 'labels' / f'{scene.name}.npy', scene.labels.astype(np.int64))
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def bands(root: Path, made: list[Scene]) -> None:
    tifffile = pytest.importorskip('tifffile', reason='TIFFs of many bands need tifffile')
    rng = np.random.default_rng(1)
    for scene in made:
        (root / 'images').mkdir(exist_ok=True)
        tifffile.imwrite(root / 'images' / f'{scene.name}.tif', rng.integers(0, 9000, (6, *SIZE), dtype=np.uint16))
        save(root / 'labels' / f'{scene.name}.tif', scene.labels)
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def sixteen_bits(root: Path, made: list[Scene]) -> None:
    rng = np.random.default_rng(1)
    for scene in made:
        save(root / 'images' / f'{scene.name}.png', rng.integers(0, 4096, SIZE, dtype=np.uint16))
        save(root / 'labels' / f'{scene.name}.png', scene.labels)
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def archive(root: Path, made: list[Scene]) -> None:
    index_masks(root, made)
    with zipfile.ZipFile(root / 'all.zip', 'w') as file:
        for path in sorted(root.rglob('*.*')):
            if path.suffix != '.zip':
                file.write(path, f'top/{path.relative_to(root)}')


def hugging_face(root: Path, made: list[Scene]) -> None:
    _table(made).save_to_disk(str(root / 'saved'))


def parquet(root: Path, made: list[Scene]) -> None:
    _table(made).to_parquet(root / 'train-00000-of-00001.parquet')


def _table(made: list[Scene]):
    datasets = pytest.importorskip('datasets', reason='data sets of Hugging Face need the library datasets')
    columns = {
        'pixel_values': [{'bytes': coded(scene.image), 'path': None} for scene in made],
        'label': [{'bytes': coded(scene.labels), 'path': None} for scene in made],
    }
    return datasets.Dataset.from_dict(columns, datasets.Features(dict.fromkeys(columns, datasets.Image())))


# Writer, what `lrformer new` calls it, and options that it needs.
FORMATS = {
    'index-masks': (index_masks, 'images and label maps', {}),
    'palette-masks': (palette_masks_in_one_folder, 'images and label maps', {}),
    'other-names': (folders_of_other_names, 'images and label maps', {}),
    'colours': (colour_masks, 'images and label maps', {}),
    'voc': (voc, 'Pascal VOC', {}),
    'coco': (coco, 'COCO instances', {}),
    'coco-run-lengths': (coco_run_lengths, 'COCO instances', {}),
    'coco-compressed': (coco_compressed, 'COCO instances', {}),
    'coco-panoptic': (coco_panoptic, 'COCO panoptic segments', {}),
    'labelme': (labelme, 'LabelMe', {}),
    'cvat': (cvat, 'CVAT for images', {}),
    'label-studio': (label_studio, 'Label Studio', {}),
    'yolo': (yolo, 'YOLO polygons', {}),
    'csv': (csv_of_pairs, 'pairs listed in pairs.csv', {}),
    'npy': (arrays, 'images and label maps', {}),
    'tiff-bands': (bands, 'images and label maps', {}),
    '16-bits': (sixteen_bits, 'images and label maps', {}),
    'zip': (archive, 'images and label maps', {}),
    'hugging-face': (hugging_face, 'Hugging Face datasets', {'classes': ','.join(CLASSES)}),
    'parquet': (parquet, 'Hugging Face datasets', {'classes': ','.join(CLASSES)}),
}


def where(root: Path, name: str) -> str:
    """What to give to ``lrformer new``."""
    return str({'zip': root / 'all.zip', 'hugging-face': root / 'saved'}.get(name, root))
