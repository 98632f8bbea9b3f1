"""What every run shares: hooks, log, seed.

TensorBoard: --cfg-options tensorboard=True (needs: pip install tensorboard).
"""

default_scope = 'mmseg'
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
randomness = dict(seed=0, deterministic=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    progress=dict(type='EvalProgressHook'),
    unseen=dict(type='UnseenClassesHook'),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', save_best='mIoU', max_keep_ckpts=2),
    visualization=dict(type='SegVisualizationHook', draw=True, interval=50),
    report=dict(type='TrainingReportHook'),
)
visualizer = dict(type='SegLocalVisualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(window_size=10)
log_level = 'INFO'
tensorboard = False

load_from = None  # weights to start from
ignore_mismatched_sizes = False  # True: load_from may have another number of classes (fine-tuning)
adapt_input_channels = False  # True: load_from may be for 3 channels while the model takes another number
resume = False
batch_per_gpu = None  # images that one process takes at a time; None: its whole share of the global batch
