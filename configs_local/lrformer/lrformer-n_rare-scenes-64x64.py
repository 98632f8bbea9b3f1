"""LRFormer-N on scenes of 64x64 in which cars and signs are rare, with one of the ways to heed them in ``recipe``:

    bash tools/dist_train.sh configs_local/lrformer/lrformer-n_rare-scenes-64x64.py 1 --cfg-options recipe=copy_paste

'plain', 'class_weight', 'ohem', 'copy_paste' or 'class_mix'. 1000 scenes train, with a twentieth of the usual cars
and signs: 0.3 % of all pixels each. docs/results.md has what came of it.
"""

_base_ = './lrformer-n_scenes-128x128.py'

recipe = 'plain'
crop_size = (64, 64)

scenes = dict(type='SceneDataset', size=crop_size)
train_set = dict(
    **scenes,
    split='train',
    num_scenes=1000,
    rare=dict(car=0.05, sign=0.05),
    pipeline=[dict(type='RandomFlip', prob=0.5)],
)
mixing = dict(
    copy_paste=[dict(type='CopyPaste', classes=('car', 'sign'), prob=0.5)],
    class_mix=[dict(type='ClassMix', prob=0.5)],
)
loss = dict(type='OhemCrossEntropy', thres=0.7, min_kept=4096) if recipe == 'ohem' else dict(type='CrossEntropyLoss')
if recipe == 'class_weight':
    loss.update(class_weight='auto')

model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(q_pooled_sizes=(16, 8, 4, 2)),
    decode_head=dict(q_pooled_size=8, loss_decode=dict(_delete_=True, **loss)),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=train_set,
        pipeline=[*mixing.get(recipe, []), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')],
    )
)
val_dataloader = dict(dataset=dict(size=crop_size, num_scenes=100))
test_dataloader = dict(dataset=dict(size=crop_size, num_scenes=300))
val_evaluator = dict(per_class=True)
test_evaluator = dict(per_class=True)
train_cfg = dict(max_iters=350, val_interval=350)
