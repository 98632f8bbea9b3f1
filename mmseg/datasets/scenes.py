"""The embedded default dataset: street-like scenes that the program draws itself; needs no download."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from mmengine.dataset import BaseDataset

from mmseg.registry import DATASETS

from .class_counts import count_pixels
from .scene_painter import CLASSES, THINGS, draw_scene
from .transforms.building import build_steps

# The third number of each random stream, so that equal seeds never share a scene between splits.
STREAMS = {'train': 0, 'val': 1, 'test': 2}
MIN_SIZE = 32
COUNTED = 1000  # scenes that tell how frequent classes are


@DATASETS.register_module()
class SceneDataset(BaseDataset):
    """Street-like scenes with exact labels in 8 classes, drawn when they are asked for.

    A scene depends on seed, split, index and size only, not on process, worker or order of access.
    A sample holds ``img`` (H x W x 3, uint8, BGR) and ``gt_seg_map`` (H x W, uint8, no ignored pixels), so a
    pipeline needs no loading transforms; ``img_path`` is a name for outputs, there is no such file.

    Args:
        num_scenes: Number of scenes. Scenes do not change when there are more.
        size: Height and width in pixels, at least 32 each; the drawing scales with the shorter one.
        seed: Another seed gives other scenes; 0 <= seed < 2**32.
        split: 'train', 'val' or 'test': three sets of scenes that share none.
        metainfo: Overrides of ``METAINFO``; ``classes`` and ``palette`` need 8 entries.
        indices: Use the first N scenes (int; negative: the last) or these ones (sequence).
        serialize_data: Hold the list of samples as one array, which data loader workers share.
        pipeline: Transforms, or their configs.
        test_mode: Do not replace a sample whose pipeline returns None by another one.
        lazy_init: Leave listing the scenes to ``full_init``.
        max_refetch: How often to try another scene when the pipeline returns None.
        ignore_index: Label that losses and metrics skip; scenes do not contain it.
        rare: Class -> share, 0 to 1, of its things that are drawn, for 'tree', 'car', 'person' and 'sign': scenes of
            classes that are rare.

    Raises:
        ValueError: An argument is out of its range.
    """

    METAINFO = {
        'classes': CLASSES,
        'palette': [
            [70, 130, 180], [152, 251, 152], [128, 64, 128], [70, 70, 70], [107, 142, 35], [0, 0, 142],
            [220, 20, 60], [220, 220, 0],
        ],
        'label_map': None,
        'reduce_zero_label': False,
    }  # fmt: skip

    def __init__(
        self,
        num_scenes: int = 2000,
        size: tuple[int, int] = (128, 128),
        seed: int = 0,
        split: str = 'train',
        metainfo: Mapping | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        ignore_index: int = 255,
        rare: Mapping[str, float] | None = None,
    ):
        if num_scenes < 1:
            raise ValueError(f'SceneDataset: num_scenes={num_scenes} must be at least 1')
        size = tuple(size) if isinstance(size, Sequence) else (size, size)
        if len(size) != 2 or not all(isinstance(side, int) and side >= MIN_SIZE for side in size):
            raise ValueError(f'SceneDataset: size={size} must be (height, width), whole numbers from {MIN_SIZE} up')
        if not 0 <= seed < 2**32:
            raise ValueError(f'SceneDataset: seed={seed} must lie in 0 <= seed < 2**32')
        if split not in STREAMS:
            raise ValueError(f'SceneDataset: split={split!r} is none of {", ".join(map(repr, STREAMS))}')
        if 0 <= ignore_index < len(CLASSES):
            raise ValueError(f"SceneDataset: ignore_index={ignore_index} is the class '{CLASSES[ignore_index]}'")
        for key in ('classes', 'palette'):
            if metainfo and key in metainfo and len(metainfo[key]) != len(CLASSES):
                raise ValueError(
                    f'SceneDataset: metainfo has {len(metainfo[key])} {key}, but scenes are drawn in these '
                    f'{len(CLASSES)} classes: {", ".join(CLASSES)}'
                )
        for name, share in (rare or {}).items():
            if name not in THINGS or not 0 <= share <= 1:
                raise ValueError(
                    f'SceneDataset: rare={rare} must give shares from 0 to 1 for any of {", ".join(THINGS)}'
                )
        self.rare = dict(rare or {})
        self.num_scenes, self.size, self.seed, self.split = num_scenes, size, seed, split
        self.ignore_index = ignore_index
        super().__init__(
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=build_steps(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict]:
        """Lists the scenes; none is drawn yet."""
        return [
            {'img_path': f'scene_{self.split}_{self.seed}_{index:06d}.png', 'scene_index': index}
            for index in range(self.num_scenes)
        ]

    def get_data_info(self, idx: int) -> dict:
        """Draws one scene; see the class for what the sample holds."""
        info = super().get_data_info(idx)
        rng = np.random.default_rng((self.seed, info['scene_index'], STREAMS[self.split]))
        img, gt_seg_map = draw_scene(rng, self.size, self.rare)
        return info | {
            'img': img,
            'gt_seg_map': gt_seg_map,
            'ori_shape': self.size,
            'img_shape': self.size,
            'seg_fields': ['gt_seg_map'],
            'reduce_zero_label': False,
            'label_map': None,
            'num_classes': len(CLASSES),
            'ignore_index': self.ignore_index,
        }

    def get_cat_ids(self, idx: int) -> list[int]:
        """The classes of one scene, which is drawn for it."""
        return np.unique(self.get_data_info(idx)['gt_seg_map']).tolist()

    def class_pixels(self) -> list[dict[int, int]]:
        """The pixels of each class in each of the first scenes, which are drawn for it: all are of one kind."""
        labels = (self.get_data_info(index)['gt_seg_map'] for index in range(min(len(self), COUNTED)))
        return [count_pixels(label, self.ignore_index) for label in labels]
