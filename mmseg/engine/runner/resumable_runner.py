"""A runner's checkpoints: what is in them, and how a run goes on from one."""

import os
import time
import uuid
from functools import cached_property

import mmengine
import torch
from mmengine.dist import master_only
from mmengine.runner import Runner

from mmseg.checkpoints import (
    find_resumable,
    load_checkpoint_file,
    load_message_hub_state,
    load_model_weights,
    message_hub_state,
    save_checkpoint_file,
)
from mmseg.version import __version__
from mmseg.zoo import checkpoint_file

from ..processes.batch_plan import BatchPlan
from ..processes.group import bare_model, jobs, restarted_jobs
from ..processes.reproducibility import changed_circumstances, circumstances
from .resumed_schedules import resume_optimizer_and_schedules


class ResumableRunner(Runner):
    """mmengine's runner with checkpoints of tensors and plain data, from which a run goes on bit for bit.

    Attributes:
        batch_plan: how the batch is divided among processes and passes; the subclass sets it.
    """

    batch_plan: BatchPlan

    def load_or_resume(self) -> None:
        """Do what ``resume`` and ``load_from`` say, once.

        ``resume`` is False, a file, 'auto' (the work dir's newest checkpoint; without one, start anew), or True,
        which as in mmengine means the file in ``load_from`` if there is one and 'auto' otherwise.
        """
        if self._has_loaded:
            return
        source = self._resume
        if source is True:
            source = self._load_from or 'auto'
        if self._left_off_here():
            source = 'auto'
        if source == 'auto':
            source = find_resumable(self.work_dir)
            if source is None:
                self.logger.warning(f'nothing to resume in {self.work_dir}: training starts anew')
        if source:
            self.resume(source)
        elif self._load_from is not None:
            self.load_checkpoint(self._load_from)

    def _left_off_here(self) -> bool:
        """Whether this is a job that was started again, and that wrote the work dir's newest checkpoint before."""
        newest = find_resumable(self.work_dir) if restarted_jobs() else None
        if newest is None:
            return False
        written_by = load_checkpoint_file(newest).get('meta', {}).get('job', {})
        return any(written_by.get(launcher) == job for launcher, job in restarted_jobs().items())

    def load_checkpoint(self, filename: str, map_location: str | torch.device = 'cpu') -> dict:
        """Load a checkpoint's weights into the model, all of them or none.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no checkpoint, or does not fit the model; the message says what differs.
        """
        options = {key: self.cfg.get(key, False) for key in ('ignore_mismatched_sizes', 'adapt_input_channels')}
        return self._load_weights(checkpoint_file(filename), map_location, **options)

    def _load_weights(self, filename: str, map_location: str | torch.device, **options: bool) -> dict:
        checkpoint = load_checkpoint_file(filename, map_location)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        load_model_weights(bare_model(self.model), checkpoint['state_dict'], source=filename, **options)
        self._has_loaded = True
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | torch.device = 'cpu',
    ) -> None:
        """Go on where the run that wrote this checkpoint was.

        Raises:
            ValueError: the file holds weights but no training state.
        """
        checkpoint = self._load_weights(filename, map_location)
        needed = [
            'meta',
            'message_hub',
            *['optimizer'] * resume_optimizer,
            *['param_schedulers'] * resume_param_scheduler,
        ]
        missing = [key for key in needed if key not in checkpoint]
        if missing:
            raise ValueError(
                f'{filename} holds weights but not the state of a training run (no {", ".join(missing)}), '
                'so it cannot be resumed: to start a new run from these weights, write load_from instead'
            )
        meta = checkpoint['meta']
        if hasattr(self.train_loop, 'enter'):
            self.train_loop.enter(meta, filename)
        else:
            self.train_loop._epoch, self.train_loop._iter = meta['epoch'], meta['iter']
        if meta.get('seed') not in (None, self.seed):
            self.logger.warning(f'the seed of {filename}, {meta["seed"]}, is used instead of {self.seed}')
            self._randomness_cfg.update(seed=meta['seed'])
            self.set_randomness(**self._randomness_cfg)
            self.train_loop.dataloader.sampler.seed = self.seed
        load_message_hub_state(self.message_hub, checkpoint['message_hub'])
        if _is_same_run(meta, filename, self.work_dir):
            self.run_id = meta['run']
        else:  # its files are no concern of this run
            for fact in ('kept_ckpts', 'last_ckpt', 'saved_iter'):
                self.message_hub.pop_info(fact, None)
        if resume_optimizer:
            self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
            if resume_param_scheduler:
                if self.param_schedulers is not None:
                    self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
                resume_optimizer_and_schedules(self, checkpoint, filename)
            else:
                self.optim_wrapper.load_state_dict(checkpoint['optimizer'])
        self.logger.info(f'resumed from {filename} after {self.iter} iterations')
        if changes := changed_circumstances(meta.get('circumstances', {}), self._circumstances()):
            self.logger.warning(
                f'{filename} was written under other circumstances ({changes}): the global order of samples stays, but '
                'this run is no longer bit-identical to the one that wrote it'
            )

    @cached_property
    def run_id(self) -> str:
        """Names the run in its checkpoints; a run resumed in its own work dir keeps the name."""
        return uuid.uuid4().hex

    @master_only
    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: None = None,
    ) -> None:
        """Write a checkpoint of tensors and plain data into a local folder, completely or not at all.

        Args:
            out_dir: the folder.
            filename: the file's name in it.
            file_client_args: must be None: only local folders are written to.
            save_optimizer: include the optimizer's state.
            save_param_scheduler: include the schedulers' state.
            meta: facts to add, or to put in the place of those about epoch and iteration.
            by_epoch: whether an epoch has just ended (its number is not yet counted), or an iteration.
            backend_args: must be None, as ``file_client_args``.
        """
        if file_client_args is not None or backend_args is not None:
            raise ValueError(
                'checkpoints are written to local folders only: leave out file_client_args and backend_args'
            )
        facts = dict(
            epoch=self.epoch + int(by_epoch),
            iter=self.iter + int(not by_epoch),
            iters_per_epoch=self.train_loop.iters_per_epoch if getattr(self.train_loop, 'by_epoch', False) else None,
            run=self.run_id,
            work_dir=os.path.abspath(self.work_dir),
            cfg=self._config_text,
            seed=self.seed,
            experiment_name=self.experiment_name,
            time=time.strftime('%Y%m%d_%H%M%S'),
            mmengine_version=mmengine.__version__,
            lrformer_version=__version__,
            job=jobs(),
            circumstances=self._circumstances(),
            dataset_meta=getattr(self.train_dataloader.dataset, 'metainfo', None),
        )
        checkpoint = dict(
            meta={**facts, **(meta or {})},
            state_dict=bare_model(self.model).state_dict(),
            message_hub=message_hub_state(self.message_hub),
        )
        if save_optimizer:
            checkpoint['optimizer'] = self.optim_wrapper.state_dict()
        if save_param_scheduler:
            checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in self.param_schedulers or []]
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        save_checkpoint_file(os.path.join(out_dir, filename), checkpoint)

    @cached_property
    def _config_text(self) -> str:
        return self.cfg.pretty_text  # formatting it takes longer than writing many a checkpoint

    def _circumstances(self) -> dict:
        return circumstances(self.batch_plan, self.cfg.get('compile'), self.cfg.get('cuda_graphs', False))


def _is_same_run(meta: dict, source: str, work_dir: str) -> bool:
    """Whether the run in this work dir wrote the checkpoint, so that its other files are this run's as well.

    It did if it says so, whatever links lead there; and also if the work dir that it names is no more and the file
    lies in this one, which was then moved.
    """
    if meta.get('run') is None:
        return False  # by another program, or an earlier version
    if os.path.isdir(meta['work_dir']):
        return os.path.realpath(meta['work_dir']) == os.path.realpath(work_dir)
    return os.path.realpath(os.path.dirname(source)) == os.path.realpath(work_dir)
