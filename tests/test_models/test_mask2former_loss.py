import pytest
import torch

from mmseg.models.losses import Mask2FormerLoss
from mmseg.models.losses.point_sampling import sample_labels, sample_maps, sample_masks
from mmseg.registry import MODELS

C, Q, SIZE = 4, 6, 16


class LossOfMasks(Mask2FormerLoss):
    """Takes each layer's mask logits as they are."""

    def forward(self, class_logits, mask_logits, labels, names=None):
        return super().forward(class_logits, *as_products(mask_logits), labels, names)


def as_products(mask_logits):
    """Embeddings and features whose products are these masks: features are the masks, embeddings pick one of them."""
    L, (B, Q) = len(mask_logits), mask_logits[0].shape[:2]
    return torch.eye(L * Q).view(L, 1, Q, L * Q).expand(L, B, Q, L * Q), torch.cat(mask_logits, dim=1)


def build(**cfg):
    return LossOfMasks(**{'num_points': 200, **cfg})


def regions(*classes, size=SIZE):
    """A label map of upright bands."""
    band = -(-size // len(classes))
    return torch.tensor(classes).repeat_interleave(band)[:size].expand(size, size)


def perfect(labels, order=None, confidence=20.0, layers=1):
    """Predictions that say just what the labels say: a query for each class, the others none."""
    class_logits = torch.zeros(len(labels), Q, C + 1)
    class_logits[:, :, C] = confidence
    mask_logits = torch.full((len(labels), Q, *labels.shape[1:]), -confidence)
    for b, label in enumerate(labels):
        for q, c in zip(order or range(Q), label.unique().tolist()):  # noqa: B905
            if c != 255:
                class_logits[b, q] = 0
                class_logits[b, q, c] = confidence
                mask_logits[b, q][label == c] = confidence
    return [class_logits] * layers, [mask_logits] * layers


def random_predictions(B=2, layers=2, seed=0):
    torch.manual_seed(seed)
    return (
        [torch.randn(B, Q, C + 1, requires_grad=True) for _ in range(layers)],
        [torch.randn(B, Q, SIZE, SIZE, requires_grad=True) for _ in range(layers)],
    )


LABELS = torch.stack([regions(0, 2), regions(1, 3, 0)])


class TestLosses:
    def test_a_perfect_prediction_costs_nearly_nothing(self):
        """Points between two cells see a mask that is neither in nor out, so the maps are large."""
        labels = torch.stack([regions(0, 2, size=256), regions(1, 3, 0, size=256)])
        losses = build(num_points=1000)(*perfect(labels), labels)
        assert set(losses) == {'loss_cls', 'loss_mask', 'loss_dice'}
        assert losses['loss_cls'] < 1e-3 and losses['loss_mask'] < 0.7 and losses['loss_dice'] < 0.15

    def test_every_mistake_costs(self):
        class_logits, mask_logits = perfect(LABELS)
        good = build()(class_logits, mask_logits, LABELS)
        wrong_class = class_logits[0].roll(1, dims=2)
        assert build()([wrong_class], mask_logits, LABELS)['loss_cls'] > 10 + good['loss_cls']
        bad = build()(class_logits, [-mask_logits[0]], LABELS)
        assert bad['loss_mask'] > 2 * good['loss_mask'] and bad['loss_dice'] > 1.5 * good['loss_dice']  # any points

    def test_permuting_queries_changes_nothing(self):
        class_logits, mask_logits = random_predictions()
        order = torch.randperm(Q)
        losses = []
        for some in (torch.arange(Q), order):
            torch.manual_seed(3)  # the same points
            losses.append(build()([x[:, some] for x in class_logits], [x[:, some] for x in mask_logits], LABELS))
        for name, value in losses[0].items():
            torch.testing.assert_close(value, losses[1][name])
        assert not torch.equal(class_logits[0], class_logits[0][:, order])

    @pytest.mark.parametrize(
        ('key', 'default', 'name'),
        [('class_weight', 2.0, 'loss_cls'), ('mask_weight', 5.0, 'loss_mask'), ('dice_weight', 5.0, 'loss_dice')],
    )
    def test_weights_of_the_losses(self, key, default, name):
        """One image of one class and one query: nothing to choose, so the weight acts on the loss alone."""
        labels = regions(1)[None]
        predictions = [torch.randn(1, 1, C + 1)], [torch.randn(1, 1, SIZE, SIZE)]
        values = {}
        for weight in (default, 3 * default):
            torch.manual_seed(0)
            values[weight] = build(**{key: weight})(*predictions, labels)
        for other in ('loss_cls', 'loss_mask', 'loss_dice'):
            factor = 3 if other == name else 1
            torch.testing.assert_close(values[3 * default][other], factor * values[default][other])
        torch.manual_seed(0)
        assert build()(*predictions, labels)[name] == values[default][name]  # the published one is the default

    def test_no_object_weight(self):
        """Two queries, one matched: the class loss is their average by weight."""
        labels, class_logits = regions(1)[None], torch.randn(1, 2, C + 1)
        _, mask_logits = random_predictions(B=1)
        mask_logits = torch.stack([torch.full((SIZE, SIZE), 20.0), torch.full((SIZE, SIZE), -20.0)])[None]
        log = class_logits.log_softmax(-1)[0]
        for weight in (0.1, 0.7):
            loss = build(no_object_weight=weight)([class_logits], [mask_logits], labels)['loss_cls']
            torch.testing.assert_close(loss, -2 * (log[0, 1] + weight * log[1, C]) / (1 + weight))
        assert Mask2FormerLoss().no_object_weight == 0.1

    @pytest.mark.parametrize('key', ['class_weight', 'mask_weight', 'dice_weight'])
    def test_weights_of_the_matching(self, key):
        """Query 0 has the right class, query 1 the right mask: the heavier cost decides which is taken."""
        labels = torch.full((1, SIZE, SIZE), 1)
        class_logits = torch.zeros(1, 1, 2, C + 1)
        class_logits[..., 0, 1], class_logits[..., 1, 2] = 10, 10
        masks = torch.tensor([-3.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, SIZE, SIZE)
        weights = dict(class_weight=0.0, mask_weight=0.0, dice_weight=0.0) | {key: 1.0}
        _, queries, classes = build(**weights).match(class_logits, *as_products([masks]), labels)
        assert queries.tolist() == [[0 if key == 'class_weight' else 1]] and classes.tolist() == [[1]]

    def test_each_layer_has_its_own_losses(self):
        class_logits, mask_logits = random_predictions(layers=3)
        losses = build()(class_logits, mask_logits, LABELS)
        kinds = ('loss_cls', 'loss_mask', 'loss_dice')
        assert set(losses) == {f'{layer}{kind}' for layer in ('d0.', 'd1.', '') for kind in kinds}
        good_class, good_mask = perfect(LABELS)
        losses = build()([class_logits[0], good_class[0]], [mask_logits[0], good_mask[0]], LABELS)
        assert losses['loss_cls'] < 1e-3 < losses['d0.loss_cls']

    def test_average_over_masks(self):
        """The second image doubled: masks are averaged over all of the batch."""
        class_logits, mask_logits = perfect(LABELS, confidence=1.0)
        twice = torch.cat([LABELS, LABELS])
        torch.manual_seed(0)
        once = build(num_points=4000)(class_logits, mask_logits, LABELS)
        both = build(num_points=4000)([class_logits[0].repeat(2, 1, 1)], [mask_logits[0].repeat(2, 1, 1, 1)], twice)
        for name in once:
            torch.testing.assert_close(once[name], both[name], rtol=0.05, atol=0)


class TestIgnored:
    def test_ignored_pixels_are_outside_every_mask_or_left_out(self):
        """A mask that covers the ignored half as well is wrong by default, and right when that is left out."""
        labels = regions(2, 255, size=256)[None]
        class_logits, mask_logits = perfect(torch.full((1, 256, 256), 2))
        default = build()(class_logits, mask_logits, labels)
        left_out = build(exclude_ignored=True)(class_logits, mask_logits, labels)
        assert default['loss_mask'] > 10 and default['loss_dice'] > 0.5
        assert left_out['loss_mask'] < 0.7 and left_out['loss_dice'] < 0.15

    @pytest.mark.parametrize('exclude_ignored', [False, True])
    def test_images_without_a_labelled_pixel(self, exclude_ignored):
        class_logits, mask_logits = random_predictions()
        for labels in (torch.full_like(LABELS, 255), torch.stack([LABELS[0], torch.full((SIZE, SIZE), 255)])):
            losses = build(exclude_ignored=exclude_ignored)(class_logits, mask_logits, labels)
            assert all(torch.isfinite(value) for value in losses.values())
            sum(losses.values()).backward()
            for x in (*class_logits, *mask_logits):
                assert torch.isfinite(x.grad).all()
                x.grad = None

    def test_ignored_is_no_class(self):
        class_logits, mask_logits = random_predictions(B=1)
        labels = torch.where(regions(1, 3) == 1, -1, 3)[None]
        images, queries, classes = build().match(torch.stack(class_logits), *as_products(mask_logits), labels)
        assert classes.tolist() == [[3], [3]] and images == [0]


class TestMatching:
    def test_more_classes_than_queries(self):
        labels = regions(0, 1, 2, 3)[None]
        class_logits, mask_logits = [torch.randn(1, 2, C + 1)], [torch.randn(1, 2, SIZE, SIZE)]
        losses = build()(class_logits, mask_logits, labels)
        assert all(torch.isfinite(value) for value in losses.values())

    def test_costs_that_are_not_finite_are_counted_and_said_once(self, monkeypatch):
        said = []
        monkeypatch.setattr('mmseg.models.losses.mask2former_loss.print_log', lambda text, **_: said.append(text))
        class_logits, mask_logits = random_predictions()
        broken = [class_logits[0].detach().clone(), class_logits[1]]
        broken[0][1, 2] = float('nan')
        loss = build()
        for _ in range(2):
            loss(broken, mask_logits, LABELS, ['a.jpg', 'b.jpg'])
        assert loss.non_finite_costs == 2
        assert len(said) == 1 and 'b.jpg' in said[0]
        assert build().non_finite_costs == 0

    def test_the_cheapest_assignment_wins(self):
        order = [3, 1, 5]
        class_logits, mask_logits = perfect(LABELS, order)
        _, queries, classes = build().match(torch.stack(class_logits), *as_products(mask_logits), LABELS)
        assert queries.tolist() == [[3, 1, 3, 1, 5]] and classes.tolist() == [[0, 2, 0, 1, 3]]


class TestPoints:
    def test_samples_of_labels_are_samples_of_masks(self):
        torch.manual_seed(0)
        labels, points = torch.randint(0, C, (3, 7, 9)), torch.rand(3, 50, 2)
        corners, weights = sample_labels(labels, torch.arange(3), points, outside=-2)
        masks = torch.nn.functional.one_hot(labels, C).permute(0, 3, 1, 2).float()
        expected = sample_maps(masks, points)
        for c in range(C):
            found = ((corners == c) * weights).sum(0)
            torch.testing.assert_close(found, expected[:, c], rtol=0, atol=1e-5)

    def test_samples_of_masks_and_their_gradients(self):
        torch.manual_seed(0)
        masks = torch.randn(3, 5, 6, dtype=torch.float64, requires_grad=True)
        points = torch.rand(3, 20, 2, dtype=torch.float64)
        points[:, 0] = 0  # the corner of a map, beyond the centres of its cells
        expected = sample_maps(masks[:, None], points)[:, 0]
        torch.testing.assert_close(sample_masks(masks, points), expected)
        weights = torch.randn(3, 20, dtype=torch.float64)
        (gradient,) = torch.autograd.grad((sample_masks(masks, points) * weights).sum(), masks)
        torch.testing.assert_close(gradient, torch.autograd.grad((expected * weights).sum(), masks)[0])

    def test_uncertain_points_lie_at_the_border(self):
        masks = (torch.linspace(-10, 10, 64)).expand(1, 64, 64)
        loss = build(num_points=400, oversample_ratio=8.0, importance_sample_ratio=0.75)
        points = loss.uncertain_points(masks, regions(0, 1, size=64)[None], torch.zeros(1, dtype=torch.int64))
        near = (points[0, :, 0] - 0.5).abs() < 0.15
        assert points.shape == (1, 400, 2)
        # Beyond the map a mask's logit falls to 0, so its edges count as uncertain, too.
        edge = ((points[0] - 0.5).abs() > 0.5 - 1 / 64).any(dim=1)
        assert (near | edge)[:300].all() and 10 < near[300:].sum() < 60

    @pytest.mark.parametrize('cfg', [dict(num_points=0), dict(oversample_ratio=0.5), dict(importance_sample_ratio=1.1)])
    def test_settings_that_cannot_be(self, cfg):
        with pytest.raises(ValueError, match=next(iter(cfg))):
            Mask2FormerLoss(**cfg)


def test_computed_in_float32_under_autocast():
    class_logits, mask_logits = random_predictions()
    with torch.autocast('cpu', torch.bfloat16):
        losses = build()([x.bfloat16() for x in class_logits], [x.bfloat16() for x in mask_logits], LABELS)
    assert {value.dtype for value in losses.values()} == {torch.float32}


def test_it_is_registered():
    assert isinstance(MODELS.build(dict(type='Mask2FormerLoss', ignore_index=7)), Mask2FormerLoss)
