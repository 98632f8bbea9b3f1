"""A work dir as two starts of a run leave it."""

import json

import cv2
import numpy as np

CONFIG = """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100)
train_dataloader = dict(global_batch_size=8)
optim_wrapper = dict(optimizer=dict(lr={lr}))
work_dir = '{start}'
"""


def trained(folder):
    """Stopped after 60 iterations, resumed from 40 with another rate, and now at 80; validated every 40."""
    for start, first, last, lr in (('20260101_000000', 10, 60, 0.1), ('20260102_000000', 50, 80, 0.2)):
        data = folder / start / 'vis_data'
        (data / 'vis_image').mkdir(parents=True)
        (data / 'config.py').write_text(CONFIG.format(lr=lr, start=start))
        lines = []
        for i in range(first, last + 1, 10):
            lines.append(dict(lr=lr, data_time=0.1, grad_norm=0.0, loss=10 / i, time=0.5, iter=i, step=i))
            if i % 40 == 0:
                lines.append(dict(aAcc=50.0 + i / 8, mIoU=i / 2, data_time=0.1, time=0.1, step=i))
                picture = np.full((20, 40, 3), i, np.uint8)
                cv2.imwrite(str(data / 'vis_image' / f'val_a_b_{i}.png'), picture)
        (data / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)) + '\n{"loss": 0.')  # killed as it wrote
        log = ['iteration 33 left out, not finite: loss (1 in a row, 1 in all)']
        if first > 10:
            log = [
                'resumed from /runs/iter_40.pth after 40 iterations',
                '/runs/iter_40.pth was written under other circumstances (1 process, then 2): the global order of '
                'samples stays, but this run is no longer bit-identical to the one that wrote it',
            ]
        (folder / start / f'{start}.log').write_text('\n'.join(f'01/01 00:00:00 - mmengine - INFO - {x}' for x in log))
    return folder
