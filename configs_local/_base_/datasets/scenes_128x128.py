"""SceneDataset, 8 classes: street scenes of 128x128 that the program draws itself, global batch 8.

Needs no download. Scenes are drawn when they are asked for, so pipelines load and resize nothing, and 16,000
cost no more than 100: a run of 1000 iterations sees each once. ``val`` and ``test`` share no scene with it.
"""

_base_ = './common.py'

num_classes = 8
crop_size = (128, 128)
image_scale = crop_size

train_pipeline = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='PackSegInputs')]

scenes = dict(type='SceneDataset', size=crop_size)
train_dataloader = dict(
    global_batch_size=8,
    num_workers=2,
    dataset=dict(**scenes, split='train', num_scenes=16000, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=10,
    num_workers=2,
    dataset=dict(**scenes, split='val', num_scenes=200, pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=10,
    num_workers=2,
    dataset=dict(**scenes, split='test', num_scenes=200, pipeline=test_pipeline),
)
