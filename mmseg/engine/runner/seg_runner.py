"""The runner: mmengine's, made to run on any number of GPUs or on the CPU from the same config."""

import importlib.util

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size, is_distributed
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel, convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.utils import manager as instances
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from mmseg.models.utils import compile_parts, record_parts
from mmseg.registry import RUNNERS

from ..config import own_types
from ..config.agreement import check_agreement
from ..config.data_root import hand_down_data_root
from ..config.keys import ALWAYS_THERE, check_names, check_names_in_model
from ..processes.batch_plan import BatchPlan, plan_batch
from ..processes.group import bare_model, describe_processes, init_process_group
from ..processes.preemption import init_worker
from ..processes.reproducibility import prepare_determinism
from .class_weights import fill_class_weights
from .evaluation_loops import TestLoop, ValLoop
from .log_processor import LogProcessor
from .resumable_runner import ResumableRunner
from .schedules import fit_to_loop
from .training_loops import EpochBasedTrainLoop, IterBasedTrainLoop


@RUNNERS.register_module()
class SegRunner(ResumableRunner):
    """mmengine's runner, with these differences:

    - Processes meet through nccl on CUDA and gloo on the CPU; SyncBN is plain BN where there is no CUDA or only
      one process.
    - ``train_dataloader.global_batch_size`` is divided among processes; ``batch_per_gpu`` at the config's top
      level limits what one takes at a time, and gradients add up over the passes.
    - ``data_root`` at the config's top level goes to every dataset that states none.
    - In validation and test no image is counted twice.
    - Weights load strictly; ``ignore_mismatched_sizes=True`` at the top level leaves out a classifier of another
      class count, ``adapt_input_channels=True`` fits a 3-channel stem to another number of channels.
    - Checkpoints hold tensors and plain data only, and replace an older file only when complete.
    - ``tensorboard=True`` at the top level writes TensorBoard files beside the other logs.
    - A resumed run repeats the uninterrupted one bit for bit, or the log says what it differs in. A job that its
      launcher started again goes on from its own newest checkpoint.
    - ``randomness.deterministic=True`` gives the same bits on CUDA, too (docs/reproducibility.md).

    Built by :meth:`from_cfg` from a whole config, or with the arguments of mmengine's ``Runner``.
    """

    _compiled = _recorded = False  # whether the model's parts are

    @classmethod
    def from_cfg(cls, cfg: dict) -> 'SegRunner':
        """Build from a config, whose ``default_scope`` is 'mmseg' unless it says otherwise."""
        if cfg.get('default_scope') is None:
            cfg['default_scope'] = 'mmseg'
        check_names(cfg)
        return super().from_cfg(cfg)

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """As mmengine's; before a run begins, what was built for it must agree."""
        if fn_name == 'before_run':
            if isinstance(self._train_loop, BaseLoop):
                metrics = self.val_evaluator.metrics if isinstance(self._val_loop, BaseLoop) else []
                of_metrics = [loss for metric in metrics for loss in getattr(metric, 'losses', ())]
                fill_class_weights([*bare_model(self.model).modules(), *of_metrics], self.train_dataloader.dataset)
            check_agreement(self)
            check_names_in_model(self)
        super().call_hook(fn_name, **kwargs)

    # Processes and batch

    def setup_env(self, env_cfg: dict) -> None:
        """Start the process group, then all that mmengine sets up; decide how the batch is divided."""
        if self.distributed and not is_distributed():
            init_process_group(self.launcher, **env_cfg.get('dist_cfg', {}))
        super().setup_env(env_cfg)
        if isinstance(self._train_dataloader, dict):
            self._train_dataloader, self.batch_plan = self._divide_batch(self._train_dataloader)
        elif self._train_dataloader is not None:
            self.batch_plan = BatchPlan(self.world_size, self._train_dataloader.batch_size, accumulation=1)

    def set_randomness(self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """As mmengine's, and with ``deterministic`` the same bits on CUDA in every run."""
        if deterministic:
            prepare_determinism()
        super().set_randomness(seed, diff_rank_seed, deterministic)

    def _divide_batch(self, dataloader: dict) -> tuple[dict, BatchPlan]:
        plan = plan_batch(dataloader, self.world_size, self.cfg.get('batch_per_gpu'))
        dataloader = {key: value for key, value in dataloader.items() if key != 'global_batch_size'}
        return {**dataloader, 'batch_size': plan.per_step}, plan

    def _maybe_compile(self, target: str) -> None:
        """The model's parts and not ``target``, with ``compile`` and with ``cuda_graphs``."""
        self._compile_parts()
        self._record_parts()

    def _record_parts(self) -> None:
        """``cuda_graphs=True``."""
        wanted = self.cfg.get('cuda_graphs', False)
        if not isinstance(wanted, bool):
            raise TypeError(f'cuda_graphs={wanted!r} is not True or False')
        if wanted and not self._recorded:
            record_parts(bare_model(self.model))
            self._recorded = True

    def _compile_parts(self) -> None:
        """``compile=True``, or a dict of torch.compile's options."""
        options = self.cfg.get('compile')
        if options in (None, False) or self._compiled:
            return
        if not (options is True or isinstance(options, dict)):
            raise TypeError(f"compile={options!r} is not True, False or a dict of torch.compile's options")
        count = compile_parts(self.model, **({} if options is True else options))
        self._compiled = True
        self.logger.info(
            f'compiling {count} parts of the model when they are first called, which takes a while. Compiled code '
            'rounds differently: resume a run with the same value of compile, for the same bits'
        )

    def wrap_model(self, model_wrapper_cfg: dict | None, model: torch.nn.Module) -> torch.nn.Module:
        """Move the model to its device, and let processes share gradients where there are several."""
        self.logger.info(describe_processes())
        several, on_cuda = get_world_size() > 1, torch.cuda.is_available()
        if model_wrapper_cfg is not None and several and on_cuda:
            return super().wrap_model(model_wrapper_cfg, model)
        model = model.to(get_device())
        if not (several and on_cuda):
            model = revert_sync_batchnorm(model)
        elif self.cfg.get('sync_bn'):
            model = convert_sync_batchnorm(model, self.cfg.sync_bn)
        learns = any(parameter.requires_grad for parameter in model.parameters())
        if not (several and learns):  # without gradients, as an exported network, there is nothing to share
            return model
        return MMDistributedDataParallel(
            module=model,
            # Buffers stay shared before each forward, torch's default: plain BN follows the first process's running
            # statistics, the ones a checkpoint holds.
            device_ids=[torch.cuda.current_device()] if on_cuda else None,
            # Gradients travel in buckets, which are rearranged after the first iteration unless unused parameters are
            # looked for; sums over more than two processes depend on it. A resumed run must not.
            find_unused_parameters=self.cfg.get('find_unused_parameters', False)
            or (get_world_size() > 2 and (self._deterministic or not on_cuda)),
        )

    # Data, loops and hooks

    def build_dataloader(
        self, dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """As mmengine's, after handing down ``data_root``; samples of the training stream are seeded one by one."""
        if isinstance(dataloader, dict):
            dataloader = dict(dataloader)
            dataloader['dataset'] = own_types.own_dataset(dataloader['dataset'], 'dataset')
            if isinstance(dataloader['dataset'], dict):
                dataloader['dataset'] = hand_down_data_root(dataloader['dataset'], self.cfg.get('data_root'))
            if not {'sampler', 'batch_sampler'} & set(dataloader):
                raise ValueError(
                    "a dataloader states no sampler: write sampler=dict(type='InfiniteSampler', shuffle=True) in "
                    "train_dataloader, sampler=dict(type='DefaultSampler', shuffle=False) in others"
                )
            dataloader.setdefault('pin_memory', torch.cuda.is_available())  # a GPU copies from there on its own
            if not dataloader.get('num_workers'):
                dataloader.pop('persistent_workers', None)  # torch refuses it without workers, where it has no meaning
            if own_types.can_seek(dataloader.get('sampler')):
                dataloader['dataset'] = dict(type='SeededSamples', dataset=dataloader['dataset'])
            if 'worker_init_fn' not in dataloader:
                quiet = dataloader.pop('disable_subprocess_warning', False)
                dataloader['worker_init_fn'] = dict(type=init_worker, quiet=quiet)
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """The training loop; ``by_epoch`` stands for one of the two types, as in mmengine.

        Where a config names mmengine's own loop or sampler, by whatever name or class, it gets this package's, which
        means the same and keeps more promises.
        """
        if isinstance(loop, dict):
            loop = dict(loop)
            if 'type' not in loop and 'by_epoch' in loop:
                loop['type'] = 'EpochBasedTrainLoop' if loop.pop('by_epoch') else 'IterBasedTrainLoop'
            if 'type' not in loop:
                raise ValueError(
                    "train_cfg must say how to count: type='IterBasedTrainLoop' with max_iters, or "
                    "type='EpochBasedTrainLoop' with max_epochs"
                )
            loop = own_types.own_loop(loop, IterBasedTrainLoop, EpochBasedTrainLoop)
            if loop['type'] in (IterBasedTrainLoop, EpochBasedTrainLoop):
                self._train_dataloader = own_types.seekable(self._train_dataloader)
        built = super().build_train_loop(loop)
        own_types.refuse_what_others_cannot(built, self.batch_plan)
        return built

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """As mmengine's; None leaves any hook out, and not only one of mmengine's."""
        given = (hooks or {}).items()
        super().register_default_hooks({name: hook for name, hook in given if hook is not None or name in ALWAYS_THERE})

    def register_hook(self, hook: Hook | dict, priority: str | int | None = None) -> None:
        """As mmengine's, but mmengine's own hooks give way to those here, as loops do."""
        super().register_hook(own_types.own_hook(hook), priority)

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """The validation loop, mmseg's ``ValLoop`` by default."""
        self._val_dataloader = own_types.each_image_once(self._val_dataloader)
        if isinstance(loop, dict):
            loop = own_types.own_loop({'type': ValLoop, **loop}, ValLoop)
        return super().build_val_loop(loop)

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """The test loop, mmseg's ``TestLoop`` by default."""
        self._test_dataloader = own_types.each_image_once(self._test_dataloader)
        if isinstance(loop, dict):
            loop = own_types.own_loop({'type': TestLoop, **loop}, TestLoop)
        return super().build_test_loop(loop)

    # Optimizer

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """One optimizer in one wrapper, built from its config."""
        if not isinstance(optim_wrapper, OptimWrapper) and 'optimizer' not in optim_wrapper:
            raise ValueError(f'optim_wrapper must state its optimizer, it states {", ".join(optim_wrapper)}')
        return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: dict | list) -> list:
        """The schedules, see :func:`.schedules.fit_to_loop`."""
        schedulers = list(scheduler) if isinstance(scheduler, (list, tuple)) else [scheduler]
        if hasattr(self.train_loop, 'iters_per_pass'):
            schedulers = fit_to_loop(schedulers, self.train_loop, self.logger)
        return super().build_param_scheduler(schedulers)

    # Log

    def build_log_processor(self, log_processor: LogProcessor | dict) -> LogProcessor:
        """mmseg's ``LogProcessor`` by default."""
        if isinstance(log_processor, dict):
            log_processor = {'type': LogProcessor, **log_processor}
        return super().build_log_processor(log_processor)

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """The visualizer, writing TensorBoard files as well if the config says ``tensorboard=True``."""
        if self.cfg.get('tensorboard') and isinstance(visualizer, dict):
            if importlib.util.find_spec('tensorboard') is None:
                raise ModuleNotFoundError('tensorboard=True needs the package tensorboard: pip install tensorboard')
            backends = [*(visualizer.get('vis_backends') or []), dict(type='TensorboardVisBackend')]
            visualizer = {**visualizer, 'vis_backends': backends}
        try:
            return super().build_visualizer(visualizer)
        except Exception:
            # mmengine goes on holding its lock where a constructor fails, and other threads would wait for it for ever.
            while instances._lock._is_owned():
                instances._lock.release()
            raise
