"""What can be wrong with a dataset: every kind of finding, how grave it is, and what mends it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass

SHOWN = 3  # files that a finding names in text; JSON has all
GRAVITY = ('error', 'warning', 'note')

FETCH = (
    'fetch or convert the files again, or leave their names out: {ann_file}\n'
    'or, in training, skip what cannot be read: {skip}'
)
LEAVE_OUT = 'leave their names out: {ann_file}'
CONVERT = 'write one class index per pixel, as 8-bit PNG'

# code: gravity, what is wrong, what mends it. {ann_file}, {skip}: config lines. Errors end a training or spoil it in
# silence; warnings may be meant; notes say how something unusual is read.
KINDS = {
    # files
    'dataset': ('error', 'the dataset cannot be built', ''),
    'missing-image': ('error', 'no such image', f'add them, or {LEAVE_OUT}'),
    'missing-annotation': ('error', 'image without annotation', f'add them, set seg_map_suffix, or {LEAVE_OUT}'),
    'annotation-without-image': ('warning', 'annotation without image', 'add the images, or delete these'),
    'unused-image': ('warning', 'image of another suffix than img_suffix, not used', '{img_suffix}'),
    'repeated-name': ('warning', 'named by the split file more than once', 'one line a name, unless it is meant'),
    'broken-link': ('error', 'link to a file that does not exist', 'mend or delete the links'),
    'link-loop': ('error', 'link to a folder that it lies in, so that files are found many times', 'delete the links'),
    # images
    'empty-image': ('error', 'empty image file', FETCH),
    'unreadable-image': ('error', 'file that is no readable image', FETCH),
    'damaged-image': ('error', 'truncated or damaged image', FETCH),
    'too-large-image': ('error', 'image of absurd size', f'cut it into tiles, or {LEAVE_OUT}'),
    'wrong-suffix-image': ('warning', 'image that is not what its suffix says', 'rename; it is read all the same'),
    'blank-image': ('warning', 'image of a single colour', LEAVE_OUT),
    '16-bit-image': (
        'warning',
        'image of 16 bits, of which the upper 8 are read',
        'if they look dark, scale them to 8 bits: darker than 1/256 of the range becomes black',
    ),
    'cmyk-image': ('note', 'CMYK image, converted', ''),
    'alpha-image': ('note', 'image with transparency, which is dropped', ''),
    'palette-image': (
        'warning',
        'palette image, of which the loader reads the indices and not the colours',
        "LoadImageFromFile(imdecode_backend='cv2'), which looks the colours up",
    ),
    'image-kinds-differ': (
        'error',
        'images of several kinds, as the loader reads them, which make no batch',
        "convert them to one kind, or let the loader do it: LoadImageFromFile(color_type='color')",
    ),
    'exif-image': ('note', 'image with an EXIF turn; the annotation has the size of one side, and decides', ''),
    'exif-unclear-image': (
        'warning',
        'image with an EXIF turn that the annotation may or may not follow: its size fits both. Read as stored',
        'apply or remove the turn: PIL.ImageOps.exif_transpose(image), or exiftool -Orientation= FILE',
    ),
    # annotations
    'empty-annotation': ('error', 'empty annotation file', FETCH),
    'unreadable-annotation': ('error', 'file that is no readable annotation', FETCH),
    'damaged-annotation': ('error', 'truncated or damaged annotation', FETCH),
    'too-large-annotation': ('error', 'annotation of absurd size', LEAVE_OUT),
    'wrong-suffix-annotation': ('warning', 'annotation that is not what its suffix says', 'rename'),
    'lossy-annotation': ('error', 'annotation in a lossy format, which invents labels', f'{CONVERT}, from the source'),
    'colour-annotation': ('error', 'annotation of colours instead of class indices', CONVERT),
    'grey-rgb-annotation': (
        'error',
        'annotation with its labels in three equal channels',
        f'{CONVERT}: Image.open(FILE).getchannel(0).save(FILE)',
    ),
    'palette-annotation': ('note', 'palette PNG, read as indices', ''),
    '16-bit-annotation': ('note', 'annotation of 16 bits', ''),
    'size-mismatch': ('error', 'annotation of another size than its image', f'pair them rightly, or {LEAVE_OUT}'),
    'palettes-differ': (
        'warning',
        'palette PNG in which a label has another colour than in most others: does it mean another class?',
        CONVERT + ', going by colour and not by index',
    ),
    # labels
    'label-outside-classes': ('error', 'label that is no class', ''),
    'off-by-one': ('error', 'labels are likely off by one', ''),
    'multiplied-labels': ('error', 'labels are likely multiplied, to be visible', ''),
    'binary-mask': ('error', 'likely a mask of 0 and 255', ''),
    'mixed-masks': ('error', 'some masks are likely of 0 and 255, others of 0 and 1', CONVERT + ' (0 and 1)'),
    'class-never-seen': ('warning', 'class without a pixel', 'check its name, and the labels of the files'),
    'fully-ignored': ('warning', 'annotation without a pixel that counts', LEAVE_OUT),
    'nothing-labelled': ('error', 'not one pixel counts', ''),
    'mostly-ignored': ('warning', 'most pixels are ignored', 'check ignore_index, label_map and reduce_zero_label'),
    # sets
    'train-val-duplicates': (
        'error',
        'image of the training set that is also evaluated on',
        "take them out of the training set: train_dataloader = dict(dataset=dict(ann_file='train_good.txt'))"
        '  # with one NAME a line',
    ),
    'val-test-duplicates': (
        'warning',
        'image both of val and test',
        'take them out of one, by a split file (ann_file)',
    ),
    'duplicate-images': ('warning', 'image that occurs more than once', LEAVE_OUT),
    'contradicting-duplicates': ('error', 'same image, different annotation', f'decide on one: {LEAVE_OUT}'),
    # config
    'classes-differ': ('error', 'splits differ in their classes', 'give both the same metainfo'),
    'ignored-class': ('error', 'ignore_index is one of the classes', ''),
    'num-classes': ('error', 'the model has another number of classes', ''),
}


@dataclass
class Finding:
    """Something wrong, in one split.

    Attributes:
        code: of its kind, a key of ``KINDS``.
        gravity: 'error', 'warning' or 'note'.
        split: where.
        message: what is wrong.
        files: the files that show it, with details; may be empty.
        fix: what to do about it; where the config can mend it, the lines to write.
    """

    code: str
    gravity: str
    split: str
    message: str
    files: list[str]
    fix: str

    def to_dict(self) -> dict:
        """Plain data, for JSON."""
        return {**asdict(self), 'count': len(self.files)}


def finding(
    code: str, split: str, message: str = '', files: Iterable[str] = (), fix: str = '', gravity: str = ''
) -> Finding:
    """A finding of a kind, with the kind's gravity and words where no others are given."""
    usual_gravity, title, usual_fix = KINDS[code]
    files = list(files)
    text = f'{title}: {message}' if message else title
    return Finding(code, gravity or usual_gravity, split, text, files, _fill(fix or usual_fix, split, len(files)))


def by_kind(problems: Iterable[tuple[str, str, str]], split: str) -> list[Finding]:
    """One finding for all problems of a kind; a problem is (code, file, detail)."""
    groups = defaultdict(list)
    for code, file, text in problems:
        groups[code].append((file, text))
    findings = []
    for code, entries in groups.items():
        message = '; '.join(text for file, text in entries if not file)
        files = [_named(file, text) for file, text in sorted(entries) if file]
        findings.append(finding(code, split, message, files))
    return findings


def config_lines(split: str, setting: str) -> str:
    """The config line that puts ``key=value`` into a split's dataset; one for each name of the split."""
    lines = []
    for name in split.split(', '):
        loader, _, number = name.partition('[')
        inside = f'  # in its dataset {number[:-1]}' if number else ''
        lines.append(f'{loader}_dataloader = dict(dataset=dict({setting})){inside}')
    return '\n'.join(lines)


def _named(file: str, text: str) -> str:
    # Messages of the reading functions name the file themselves.
    return text if file in text else f'{file}: {text}' if text else file


def _fill(fix: str, split: str, count: int) -> str:
    name = split.split(', ')[0].partition('[')[0]
    return (
        fix.replace('{ann_file}', config_lines(split, f"ann_file='{name}_good.txt'") + '  # with one NAME a line')
        .replace('{skip}', config_lines('train', f'max_bad_samples={count}'))
        .replace('{img_suffix}', config_lines(split, "img_suffix=('.jpg', '.png')") + '  # with the suffixes you have')
    )
