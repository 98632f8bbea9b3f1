"""What to write in place of an argument that a class does not take.

Keys come from older versions of mmsegmentation, from 1.x where it is not followed, or from a slip of the pen.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOT_NEEDED = 'leave it out'
BACKEND = 'write backend_args instead'
PREFIX = 'write data_prefix=dict(img_path=IMAGES, seg_map_path=LABEL_MAPS) instead'
OF_FCN = f'{NOT_NEEDED}: it is about layers of FCNHead, which this head does not have'
IN_LOSS = "write it into loss_decode=dict(type='CrossEntropyLoss', ...)"

# By the name of a class, which stands for those that derive from it as well.
INSTEAD = {
    'EncoderDecoder': {'loss_decode': 'write it into decode_head', 'num_classes': 'write it into decode_head'},
    'BaseDecodeHead': {
        **dict.fromkeys(('num_convs', 'kernel_size', 'concat_input', 'dilation'), OF_FCN),
        **dict.fromkeys(('class_weight', 'use_sigmoid', 'loss_weight', 'avg_non_ignore'), IN_LOSS),
        'interpolate_mode': f'{NOT_NEEDED}: maps are resized bilinearly',
    },
    'LRFormer': {
        'pretrained': "write init_cfg=dict(type='Pretrained', checkpoint=FILE) instead",
        'arch': "write variant='t' (or 's', 'b', 'l', 'xl') instead",
        'num_classes': f'{NOT_NEEDED}: it is the decode head that has classes',
        'img_size': f'{NOT_NEEDED}: images may have any size from 32x32 up',
        'norm_eval': 'write frozen_stages=N instead, for stages that do not learn',
        **dict.fromkeys(('norm_cfg', 'act_cfg', 'conv_cfg'), f'{NOT_NEEDED}: the published layers are the only ones'),
        **dict.fromkeys(('drop_rate', 'attn_drop_rate'), f'{NOT_NEEDED}: of dropouts there is drop_path_rate alone'),
    },
    'SwinTransformer': {
        'embed_dim': 'write embed_dims instead',
        'ape': 'write use_abs_pos_embed instead',
        'use_checkpoint': 'write with_cp instead',
        **dict.fromkeys(('pretrain_style', 'auto_pad'), NOT_NEEDED),
    },
    'MixVisionTransformer': {
        'pretrain_style': f'{NOT_NEEDED}: weights are taken as mmsegmentation 1.x publishes them',
        'depths': 'write num_layers instead',
    },
    'SegformerHead': {'decoder_params': 'write channels=256 instead', 'feature_strides': NOT_NEEDED},
    'Mask2FormerHead': {
        'sampler': f'{NOT_NEEDED}: how points are drawn is said in loss_decode (num_points, oversample_ratio)',
        'threshold': f'{NOT_NEEDED}: with masks, two classes are two classes',
        **dict.fromkeys(('norm_cfg', 'act_cfg', 'conv_cfg'), f'{NOT_NEEDED}: the published layers stand'),
        **dict.fromkeys(('input_transform', 'dropout_ratio'), NOT_NEEDED),
    },
    'SegDataPreProcessor': {
        'pad_size_divisor': 'write size_divisor instead',
        'to_rgb': 'write bgr_to_rgb instead',
        'batch_augments': f'{NOT_NEEDED}: images are augmented one by one, in the pipeline',
    },
    'CrossEntropyLoss': {'ignore_index': 'write it into the decode head, which hands it to its losses'},
    'BaseSegDataset': {
        **dict.fromkeys(('img_dir', 'ann_dir'), PREFIX),
        **dict.fromkeys(('classes', 'palette', 'label_map'), 'write it into metainfo=dict(...)'),
        'split': 'write ann_file instead',
        'file_client_args': BACKEND,
        'gt_seg_map_loader_cfg': "write it into the pipeline's dict(type='LoadAnnotations', ...)",
    },
    'LoadImageFromFile': {'file_client_args': BACKEND},
    'LoadAnnotations': {
        'file_client_args': BACKEND,
        **dict.fromkeys(('with_seg', 'with_bbox', 'with_label'), f'{NOT_NEEDED}: label maps are all that is loaded'),
    },
    'Resize': {
        'img_scale': 'write scale=(WIDTH, HEIGHT) instead',
        'ratio_range': "write dict(type='RandomResize', scale=..., ratio_range=...) instead",
        'multiscale_mode': "write dict(type='RandomChoiceResize', scales=[...]) instead",
    },
    'RandomFlip': {'flip_ratio': 'write prob instead'},
    'Pad': {'seg_pad_val': 'write pad_val=dict(img=0, seg=255) instead'},
    'IoUMetric': {'metric': "write iou_metrics=['mIoU'] instead"},
}
REFUSALS = re.compile(
    r"(?P<unknown>got an unexpected keyword argument|unknown key) '(?P<key>\w+)'$"
    r"|got multiple values for (keyword )?argument '(?P<fixed>\w+)'$"
)


class UnknownKeyError(TypeError):
    """An argument that a class does not take.

    Attributes:
        kind: the class.
        key: the argument.
    """

    def __init__(self, kind: type | Callable, key: str, advice: str) -> None:
        super().__init__(f'{kind.__name__}: unknown key {key!r}; {advice}')
        self.kind, self.key = kind, key


def accepted_arguments(kind: type | Callable) -> list[str]:
    """Names that a class (or function) takes: its constructor's, and by ``**kwargs`` its parents'.

    What ``**unknown`` catches is refused by the class itself.
    """
    names: dict[str, None] = {}
    for owner in getattr(kind, '__mro__', (kind,)):
        if isinstance(owner, type) and '__init__' not in vars(owner):
            continue
        parameters = inspect.signature(vars(owner)['__init__'] if isinstance(owner, type) else owner).parameters
        passes_on = any(p.kind is p.VAR_KEYWORD and name != 'unknown' for name, p in parameters.items())
        names |= dict.fromkeys(
            name for name, p in parameters.items() if name != 'self' and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        )
        if not passes_on:
            break
    return list(names)


@contextmanager
def hints() -> Iterator[None]:
    """Tell what to write in place of an argument that a class refuses, while registries build it.

    Raises:
        UnknownKeyError: in place of Python's TypeError.
    """
    try:
        yield
    except UnknownKeyError:
        raise
    except TypeError as error:
        if explained := _explain(error):
            raise explained from error
        raise


def _explain(error: TypeError) -> UnknownKeyError | None:
    found, kind, args = REFUSALS.search(str(error)), None, {}
    if found is None:
        return None
    trace = error.__traceback__
    while trace is not None:  # to the innermost class that a registry was building
        if trace.tb_frame.f_code.co_name == 'build_from_cfg':
            variables = trace.tb_frame.f_locals
            kind, args = variables.get('obj_cls'), variables.get('args', {})
        trace = trace.tb_next
    key = found['key'] or found['fixed']
    if kind is None or key not in args:
        return None
    return UnknownKeyError(kind, key, _advice(kind, key, found['fixed'] is not None))


def _advice(kind: type | Callable, key: str, fixed: bool) -> str:
    name = kind.__name__
    if fixed:
        return f'{NOT_NEEDED}: {name} sets it itself'
    for owner in getattr(kind, '__mro__', ()):
        if key in INSTEAD.get(owner.__name__, ()):
            return INSTEAD[owner.__name__][key]
    accepted = accepted_arguments(kind)
    near = difflib.get_close_matches(key, accepted, n=1)
    return f'did you mean {near[0]!r}?' if near else f'it takes {", ".join(accepted)}'
