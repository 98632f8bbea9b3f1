"""Test-time augmentation, put into a config: mmsegmentation's ``tta_model`` and ``tta_pipeline``, or the usual ones."""

from collections.abc import Iterator

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
LATER = ('LoadAnnotations', 'PackSegInputs')  # steps that follow the resize, where there is none


def use_tta(cfg: dict) -> None:
    """Let a config's model see each test image in several views (:class:`mmseg.models.SegTTAModel`).

    ``tta_pipeline`` takes the place of the pipeline of the test sets, and ``tta_model`` wraps the model. A config that
    states none gets those of :func:`tta_pipeline`, and a plain ``SegTTAModel``.

    Raises:
        ValueError: the views do not follow from the config; the message says what to state.
    """
    for dataset in innermost_datasets(cfg['test_dataloader']['dataset']):
        if dataset.get('pipeline') or cfg.get('tta_pipeline'):
            dataset['pipeline'] = cfg.get('tta_pipeline') or tta_pipeline(dataset['pipeline'])
    cfg['model'] = tta_model(cfg)


def tta_model(cfg: dict) -> dict:
    """The config of the model that sees several views."""
    return {'type': 'SegTTAModel', **(cfg.get('tta_model') or {}), 'module': cfg['model']}


def tta_pipeline(pipeline: list[dict]) -> list[dict]:
    """A test pipeline with its resize at six scales, 0.5 to 1.75 of its own, and each result also flipped.

    Raises:
        ValueError: it has no place for views that is known.
    """
    if any(_name(step) == 'TestTimeAug' for step in pipeline):
        return pipeline
    resizes = [i for i, step in enumerate(pipeline) if {'scale', 'scale_factor'} & set(step)]
    later = [i for i, step in enumerate(pipeline) if _name(step) in LATER]
    if len(resizes) > 1 or not (resizes or later):
        raise ValueError(
            f'the test pipeline has {len(resizes)} steps that resize, so it is not known where views begin: state '
            "tta_pipeline, with dict(type='TestTimeAug', transforms=[[one step a view], ...])"
        )
    if resizes:
        start = resizes[0]
        scaled, rest = [_scaled(pipeline[start], scale) for scale in SCALES], pipeline[start + 1 :]
    else:
        start = later[0]
        scaled, rest = [dict(type='AlignResize', scale_factor=scale) for scale in SCALES], pipeline[start:]
    flips = [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)]
    views = dict(type='TestTimeAug', transforms=[scaled, flips, *([step] for step in rest)])
    return [*pipeline[:start], views]


def innermost_datasets(dataset: dict) -> Iterator[dict]:
    """The configs of datasets inside of wrappers."""
    for key in ('dataset', 'datasets'):
        if dataset.get(key):
            inner = dataset[key]
            for part in [inner] if isinstance(inner, dict) else inner:
                yield from innermost_datasets(part)
            return
    yield dataset


def _name(step: dict) -> str:
    kind = step['type']
    return kind.rsplit('.', 1)[-1] if isinstance(kind, str) else kind.__name__


def _scaled(step: dict, factor: float) -> dict:
    """A step that resizes, to ``factor`` times its own size."""

    def times(value):
        if isinstance(value, (list, tuple)):
            return tuple(times(side) for side in value)
        return max(round(value * factor), 1) if isinstance(value, int) else value * factor

    if step.get('scale_factor') is not None:
        factors = step['scale_factor']
        several = isinstance(factors, (list, tuple))
        return {**step, 'scale_factor': tuple(f * factor for f in factors) if several else factors * factor}
    new = {**step, 'scale': times(step['scale'])}
    return {**new, 'max_size': times(step['max_size'])} if 'max_size' in step else new
