"""Template: LRFormer-T on a dataset of your own. Copy it and change the block below ``_base_``.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-t_custom-dataset.py 1

As it stands it expects data/my_dataset/{images,annotations}/{train,val}/, with an image NAME.jpg for each
single-channel PNG NAME.png. A pixel of the PNG is its class's position in ``classes`` (0, 1, ...), or 255
where it belongs to none and shall not count.
"""

_base_ = [
    '../_base_/models/lrformer.py',
    '../_base_/datasets/common.py',
    '../_base_/schedules/schedule_40k.py',
    '../_base_/default_runtime.py',
]

# Your data: folders, endings, classes.
data_root = 'data/my_dataset'
classes = ('background', 'cat', 'dog')
palette = [[120, 120, 120], [220, 80, 60], [60, 120, 220]]  # red, green, blue of each class, for pictures
num_classes = len(classes)

dataset = dict(
    type='BaseSegDataset',
    metainfo=dict(classes=classes, palette=palette),
    img_suffix='.jpg',
    seg_map_suffix='.png',
    reduce_zero_label=False,  # True: 0 means "no class" in your PNGs, and classes count from 1
)
train_dataloader = dict(
    global_batch_size=16,  # all GPUs together; with little memory, add --batch-per-gpu to the command
    dataset=dict(data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'), **dataset),
)
val_dataloader = dict(dataset=dict(data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'), **dataset))
test_dataloader = val_dataloader

# The start: a published model of another dataset, by its name (or a file, or a URL). Its classifier has other classes
# and is left out, as the log says. For ImageNet weights instead: load_from = None, and lrformer_t.py in place of
# lrformer.py above.
load_from = 'lrformer-t-160k_ade20k'
ignore_mismatched_sizes = True

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=num_classes),
)

train_cfg = dict(max_iters=40000)  # a few thousand are enough for a small dataset
