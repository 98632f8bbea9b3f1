"""Pages in a browser: what they show is what was measured, they sort, and nothing goes wrong in them."""

import re

import cv2
import numpy as np
import pytest
import torch

from mmseg import cli
from mmseg.evaluation import IoUMetric
from mmseg.report import write_comparison, write_test_report, write_training_report
from mmseg.report.page import read_page, write_page

from ..chromium import chromium, needs_chromium  # noqa: F401
from .samples import CLASSES, collected, one_image, report_metric
from .work_dir import trained

SIZES = pytest.mark.parametrize(('width', 'dark'), [(1280, False), (400, True)])
RUN = dict(
    name='a <test>', config='x = "</script>"', checkpoint='a.pth', sha256='0123', command='lrformer test', speed={}
)


def iou_of(numbers, **options):
    metric = IoUMetric(**options)
    metric.dataset_meta = dict(classes=CLASSES)
    for number in numbers:
        metric.process(None, [one_image(number)[1].to_dict()])
    return metric.evaluate(len(numbers))


def report_of(folder, numbers, **options):
    metric = collected(numbers, **options)
    return write_test_report(folder, metric.facts, iou_of(numbers), CLASSES, metric.palette, RUN)


def test_a_page_is_whole_and_can_be_read_again(tmp_path):
    content = dict(a=[float('nan'), '</script><b>&', np.int64(3), b'\0'], b={1: np.arange(2)})
    page = write_page(tmp_path / 'new' / 'page.html', 'base.html', '<i>', {}, content)
    assert read_page(page, 'b', 'a') == [{'1': [0, 1]}, [None, '</script><b>&', 3, 'AA==']]
    text = page.read_text()
    assert '<title>&lt;i&gt;</title>' in text and not re.search(r'(src|href)="(?!#|data:)', text)
    (tmp_path / 'other.html').write_text('<html>')
    with pytest.raises(ValueError, match=r'other.html is no page of a report'):
        read_page(tmp_path / 'other.html', 'data')


@needs_chromium
@SIZES
def test_figures_are_the_metrics_and_sort_and_filter(tmp_path, chromium, width, dark):  # noqa: F811
    numbers = range(40)
    page, expected = report_of(tmp_path, numbers, scores=True), iou_of(numbers, per_class=True)
    chromium.open(page, width, dark=dark)
    shown = dict(zip(chromium.texts('#tiles span'), chromium.texts('#tiles b'), strict=True))
    assert {name: float(shown[name]) for name in ('aAcc', 'mIoU', 'mAcc')} == iou_of(numbers)

    def column(name):
        return chromium.texts(f'#class-table td[data-name="{name}"]')

    safe = [name.replace('<b>car</b>', '_b_car_b_').replace(' & "cloud"', '_cloud_') for name in column('class')]
    assert sorted(column('class')) == sorted(CLASSES) and column('IoU')[-1] == 'n/a'
    for kind, label in (('IoU', 'IoU'), ('Acc', 'accuracy')):
        assert [float(x) for x in column(label)[:3]] == [expected[f'{kind}.{name}'] for name in safe[:3]]
    figures = [float(x) for x in column('IoU')[:3]]
    assert figures == sorted(figures, reverse=True)
    chromium.click('#class-table th[data-name=IoU] button')
    assert [float(x) for x in column('IoU')[:3]] == figures[::-1]
    assert chromium.run('document.querySelector("#class-table th[data-name=IoU]").ariaSort') == 'ascending'
    chromium.click('#class-table th[data-name=class] button')
    assert column('class') == sorted(CLASSES, key=lambda name: name.strip('<').lower())
    chromium.run('const f = document.querySelector("#class-filter"); f.value = "SKY"; f.oninput()')
    assert column('class') == ['sky & "cloud"']

    # By keyboard, the confusion of the second row and first column.
    chromium.run('document.querySelector("#matrix").focus()')
    for name in ('ArrowDown', 'ArrowDown'):
        chromium.key(name)
    matrix = read_page(page, 'data')[0]['matrix']
    told = chromium.run('document.querySelector("#cell").value')
    assert told.startswith(
        f'<b>car</b> taken for road: {matrix[1][0]:,} pixels, {100 * matrix[1][0] / sum(matrix[1]):.2f} %'
    )
    assert chromium.run('document.documentElement.scrollWidth') <= width
    assert chromium.run('document.documentElement.dataset.theme') == ('dark' if dark else 'light')
    chromium.click('#theme')
    assert chromium.run('document.documentElement.dataset.theme') == ('light' if dark else 'dark')
    chromium.run('localStorage.clear()')
    assert chromium.errors == []


@needs_chromium
def test_the_viewer_paints_labels_and_errors(tmp_path, chromium):  # noqa: F811
    page = report_of(tmp_path, range(5))
    chromium.open(page)
    name = '0004.jpg'
    chromium.run('const g = document.querySelector("#group"); g.value = "all"; g.onchange()')
    assert chromium.texts('#cards .card')[0].startswith('0004.jpg')  # the worst first
    chromium.click('#cards .card')
    chromium.wait('document.querySelectorAll("#views canvas").length === 4')
    assert chromium.texts('#view-name') == [name]
    chromium.run('const o = document.querySelector("#opacity"); o.value = 100; o.oninput()')

    def painted(layer):
        script = f"""(() => {{ const c = document.querySelector('canvas[data-layer={layer}]');
            const pen = new OffscreenCanvas(c.width, c.height).getContext('2d', {{ willReadFrequently: true }});
            pen.drawImage(c, 0, 0);
            return [...pen.getImageData(0, 0, c.width, c.height).data] }})()"""
        return np.array(chromium.run(script)).reshape(24, 32, 4)[..., :3]

    sample = one_image(4)[1]
    label, pred = (field.data[0].numpy() for field in (sample.gt_sem_seg, sample.pred_sem_seg))
    palette = collected([4]).palette
    assert np.array_equal(painted('prediction'), palette[pred])
    assert np.array_equal(painted('annotation')[label != 255], palette[label[label != 255]])
    wrong = (painted('errors') == (230, 30, 40)).all(axis=-1)
    assert np.array_equal(wrong, (label != pred) & (label != 255)) and wrong.any()
    chromium.run(
        'document.querySelectorAll("#view-classes input").forEach((box) => { if (box.value !== "1") box.click() })'
    )
    green = (painted('errors') == (40, 160, 70)).all(axis=-1)
    assert np.array_equal(green, (label == 1) & (pred == 1))
    chromium.key('ArrowRight')
    chromium.wait('document.querySelector("#view-name").textContent !== "0004.jpg"')
    chromium.run('const m = document.querySelector("#mode"); m.value = "slide"; m.onchange()')
    assert chromium.run('document.querySelectorAll("#views canvas").length') == 2
    chromium.key('Escape')
    chromium.wait('!document.querySelector("#viewer").open')
    assert chromium.errors == []


@needs_chromium
def test_two_thousand_images_load_their_thumbnails_when_they_are_seen(tmp_path, chromium):  # noqa: F811
    metric = collected(range(20), pictures=30)
    facts, names = metric.facts, sorted(metric.facts.images)
    for number in range(20, 2000):
        name, like = f'images/{number:04d}.jpg', names[number % 20]
        facts.images[name], facts.gallery.thumbs[name] = facts.images[like], facts.gallery.thumbs[like]
    page = write_test_report(tmp_path, facts, dict(mIoU=1.0), CLASSES, metric.palette, RUN)
    chromium.open(page)
    chromium.run('const g = document.querySelector("#group"); g.value = "all"; g.onchange()')
    assert chromium.run('document.querySelectorAll("#cards .card").length') == 2000
    assert chromium.run('document.querySelectorAll("#cards img[src]").length') < 400
    chromium.run('document.querySelector("#cards").lastChild.scrollIntoView()')
    chromium.wait('document.querySelector("#cards .card:last-child img[src]")?.complete')
    assert chromium.run('document.querySelectorAll("#cards img[src]").length') < 800
    assert chromium.errors == []


# Comparison


def compared(folder):
    """Of the same 60 images, twice: the second run has the images' errors in another order, so more on early ones."""
    first = report_of(folder / 'first', range(60))
    metric = report_metric()
    for number in range(60):
        batch, sample = one_image(number)
        label, pred = sample.gt_sem_seg.data, sample.pred_sem_seg.data
        pred[(label == 1) & (torch.arange(label.shape[-1]) % 2 == 0)] = 0  # half of all cars are missed
        metric.process(batch, [sample.to_dict()])
    metric.evaluate(60)
    iou = IoUMetric()
    iou.dataset_meta = metric.dataset_meta
    metrics = iou.compute_metrics([metric.facts.matrix])
    second = write_test_report(folder / 'second', metric.facts, metrics, CLASSES, metric.palette, {**RUN, 'name': 'b'})
    return [first.parent, second], metrics


@needs_chromium
@SIZES
def test_a_comparison_shows_both_runs_and_what_is_sure(tmp_path, chromium, width, dark):  # noqa: F811
    reports, metrics = compared(tmp_path)
    chromium.open(write_comparison(reports, tmp_path / 'both'), width, dark=dark)

    def column(table, name):
        return chromium.texts(f'#{table} td[data-name="{name}"]')

    both = [iou_of(range(60)), metrics]
    assert [float(x) for x in column('runs', 'mIoU')] == [found['mIoU'] for found in both]  # the better one first
    assert column('runs', 'mIoU to the first')[0] == ''
    assert column('class-table', 'class')[2] == '<b>car</b>' and column('class-table', 'B − A')[3] == 'n/a'
    value, low, high = (
        float(x.replace('−', '-')) for x in re.findall(r'[−+][\d.]+', column('class-table', 'B − A')[2])
    )
    assert low < value < high < -10
    data = [read_page(tmp_path / name / 'index.html', 'data')[0]['classes'][1]['IoU'] for name in ('first', 'second')]
    assert value == pytest.approx(100 * (data[1] - data[0]), abs=0.0051)
    chromium.click('#sure-only')
    assert '<b>car</b>' in column('class-table', 'class') and 'never' not in column('class-table', 'class')
    chromium.click('#class-table th[data-name=class] button')
    assert column('class-table', 'class') == sorted(
        column('class-table', 'class'), key=lambda name: name.strip('<').lower()
    )
    chromium.run('document.querySelector("#images").scrollIntoView()')
    chromium.wait('document.querySelectorAll(".row canvas").length >= 3')
    assert chromium.run('document.documentElement.scrollWidth') <= width
    assert chromium.errors == []


def test_only_what_can_be_compared_is(tmp_path):
    (first, _), _ = compared(tmp_path)
    with pytest.raises(ValueError, match='two or more'):
        write_comparison([first], tmp_path)
    with pytest.raises(FileNotFoundError, match='nothing.*--report DIR'):
        write_comparison([first, tmp_path / 'nothing'], tmp_path)
    with pytest.raises(ValueError, match='not of the same images.*has 60.*has 3'):
        write_comparison([first, report_of(tmp_path / 'other', range(3))], tmp_path)


# Training


@needs_chromium
@SIZES
def test_the_page_of_a_training_that_was_resumed(tmp_path, chromium, width, dark):  # noqa: F811
    work_dir = trained(tmp_path / 'run')
    page = write_training_report([work_dir], work_dir)
    chromium.open(page, width, dark=dark)
    shown = dict(zip(chromium.texts('#runs th'), chromium.texts('#runs td'), strict=True))
    assert shown['iteration'] == '80 of 100' and shown['mIoU'] == '40.00 (40.00)' and shown['left out'] == '1'
    assert shown['time left'] == '0:00:10'
    titles = chromium.texts('#plots h3')
    assert titles == ['Losses', 'Learning rates', 'Gradient norm', 'Validation', 'Throughput', 'Seconds an iteration']
    assert chromium.run('document.querySelectorAll("#plots .mark[x1]").length') >= len(titles)  # where it was resumed
    assert 'optim_wrapper.optimizer.lr: 0.1 → 0.2' in chromium.texts('#start-table td[data-name=changed]')[1]
    assert chromium.texts('#skipped-table td[data-name=iteration]') == ['33']
    assert chromium.run('document.documentElement.scrollWidth') <= width
    chromium.click('#start-table th[data-name=start] button')
    assert chromium.texts('#start-table td[data-name="after iteration"]') == ['40', '0']
    assert chromium.errors == []
    assert cv2.imread(str(work_dir / 'curves.png')).shape[1] > 500


@needs_chromium
def test_several_trainings_lie_over_each_other(tmp_path, chromium):  # noqa: F811
    runs = [trained(tmp_path / 'a'), trained(tmp_path / 'b')]
    chromium.open(write_training_report(runs, tmp_path))
    assert 'Losses: loss' in chromium.texts('#plots h3') and chromium.texts('#plots .legend')[0] == 'ab'
    chromium.run('const s = document.querySelector("#smooth"); s.value = "5"; s.onchange()')
    assert chromium.errors == []


def test_wrong_use_of_the_commands(tmp_path, capsys):
    for words, message in [
        (['test'], 'what to test is missing'),
        (['test', '--compare', 'a', 'b'], '--compare tests nothing'),
        (['test', '--compare', 'a', '--report', 'c'], 'two or more reports'),
        (['curves', str(tmp_path)], 'is no work dir of a training'),
        (['curves'], 'DIR'),
    ]:
        assert cli.main(words) == 2, words
        assert message in capsys.readouterr().err
    pages = [str(trained(tmp_path / name)) for name in ('a', 'b')]
    assert cli.main(['curves', *pages, '--out', str(tmp_path / 'both')]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / 'both' / 'training.html')
