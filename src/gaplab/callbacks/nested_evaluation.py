"""A validation within a training: Lightning's own loop on another loader, which leaves no trace."""

import contextlib
import copy
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.loops.evaluation_loop import _EvaluationLoop
from lightning.pytorch.trainer.connectors.data_connector import _DataLoaderSource
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection, _ResultMetric
from lightning.pytorch.trainer.states import RunningStage, TrainerFn
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel
from torchmetrics import Metric

from gaplab.distributed.sharding import is_sharded
from gaplab.randomness import seeded_global_generators


@dataclass(slots=True)
class Logged:
    """What a module logged in one validation."""

    values: dict[str, float] = field(default_factory=dict)
    """Means over the whole split, by the name that was logged."""
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    """The direction of those that are metrics of torchmetrics and know it."""


class _WholeSplit(_ResultCollection):
    """Reduces over the whole split and all processes, whatever ``self.log`` was told."""

    def log(self, fx: str, name: str, value: Any, **settings: Any) -> None:
        if isinstance(value, Tensor) and value.is_floating_point() and value.device.type != "mps":
            value = value.double()
        settings |= {
            "on_step": False,
            "on_epoch": True,
            "sync_dist": not settings.get("rank_zero_only", False),
        }
        super().log(fx, name, value, **settings)

    @staticmethod
    def _get_cache(result_metric: _ResultMetric, on_step: bool) -> Tensor | None:
        mean = result_metric.is_tensor and result_metric.meta.is_mean_reduction
        if mean and not on_step and result_metric._computed is None:
            # Lightning divides the number of points by that of processes, in whole numbers.
            result_metric.meta.sync.op = "sum"
        return _ResultCollection._get_cache(result_metric, on_step)


class _Measurement(_EvaluationLoop):
    """A validation on one loader, whose end sees whole weights where FSDP leaves a process its shard of them."""

    def _verify_dataloader_idx_requirement(self) -> None:
        """Nothing: a step that asks which of several loaders a batch comes from is told the first one."""

    def _build_kwargs(self, batch: Any, batch_idx: int, dataloader_idx: int | None) -> Any:
        asked = inspect.signature(self.trainer.lightning_module.validation_step).parameters.get(
            "dataloader_idx"
        )
        needed = asked is not None and asked.default is inspect.Parameter.empty
        return super()._build_kwargs(batch, batch_idx, 0 if needed else dataloader_idx)

    def _on_evaluation_epoch_end(self) -> None:
        model, module = self.trainer.strategy.model, self.trainer.lightning_module
        with contextlib.ExitStack() as stack:
            if is_sharded(model) and is_overridden("on_validation_epoch_end", module):
                stack.enter_context(FullyShardedDataParallel.summon_full_params(model, writeback=False))
            super()._on_evaluation_epoch_end()


def validate_on(trainer: Trainer, loader: Any, max_batches: int | None = None) -> Logged:
    """Run the module's ``validation_step`` on a loader, in eval mode, and return what it logs.

    Callbacks and loggers see nothing of it. Global generators, the Trainer's state and metrics of the module are as
    before. What an augmentation draws is the same every time.

    Args:
        trainer: In ``fit`` or ``validate``, between two batches.
        loader: The batches of this process.
        max_batches: Batches after which to end; None for all of them.
    """
    fn = trainer.state.fn
    assert fn is not None, "a Trainer that is at work has a function"
    loop = _Measurement(trainer, fn, RunningStage.VALIDATING, verbose=False, inference_mode=False)
    loop._data_source = _DataLoaderSource(loader, "val_dataloader")
    loop._results = _WholeSplit(training=False)
    if (generator := getattr(loader, "generator", None)) is not None:
        generator.manual_seed(0)
    module = trainer.lightning_module
    with (
        seeded_global_generators(0, "measuring"),
        _kept_metrics(module),
        _detached(trainer, loop, max_batches),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", PossibleUserWarning)  # about workers, of loaders that the user knows
        loop.run()
        found = trainer._logger_connector._callback_metrics
        values = {name: float(value) for name, value in found.items() if value.numel() == 1}
        directions = {
            metric.meta.name: metric.value.higher_is_better
            for metric in loop._results.values()
            if isinstance(metric.value, Metric) and metric.value.higher_is_better is not None
        }
        if not getattr(loader, "persistent_workers", False):
            loop.teardown()  # which ends workers
    return Logged(values, directions)


@contextlib.contextmanager
def _detached(trainer: Trainer, loop: _EvaluationLoop, max_batches: int | None) -> Iterator[None]:
    """Let a loop be the Trainer's validation for the length of a block, without callbacks and loggers."""
    module, connector = trainer.lightning_module, trainer._logger_connector
    stage, limit = trainer.state.stage, trainer.limit_val_batches
    kept = dict(vars(connector))
    holder: Any = trainer.fit_loop.epoch_loop if trainer.state.fn is TrainerFn.FITTING else trainer
    place = "val_loop" if trainer.state.fn is TrainerFn.FITTING else "validate_loop"
    outer = getattr(holder, place)
    callbacks, loggers = trainer.callbacks, trainer.loggers  # type: ignore[attr-defined]
    last_time = getattr(trainer, "_last_val_time", None)
    processes, model = trainer._accelerator_connector, trainer.strategy.model
    distributed = model if isinstance(model, DistributedDataParallel) else None
    shares = processes.use_distributed_sampler
    try:
        setattr(holder, place, loop)
        trainer.callbacks = []  # type: ignore[attr-defined]
        trainer.loggers = [DummyLogger()] if loggers else []
        trainer.validating = True
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.limit_val_batches = max_batches or 1.0
        processes.use_distributed_sampler = False  # it would repeat points to make shares equal
        if is_sharded(model) or (distributed is not None and distributed.broadcast_buffers):
            # Processes may have unequal numbers of batches: what DDP does in every forward pass is done once.
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, src=0)
        if distributed is not None:
            distributed.require_forward_param_sync = False
        connector.reset_metrics()
        connector._first_loop_iter = connector._current_fx = None
        yield
    finally:
        setattr(holder, place, outer)
        trainer.callbacks, trainer.loggers = callbacks, loggers  # type: ignore[attr-defined]
        trainer.state.stage, trainer.limit_val_batches = stage, limit
        trainer._last_val_time = last_time  # type: ignore[attr-defined]
        processes.use_distributed_sampler = shares
        vars(connector).update(kept)
        if distributed is not None:
            distributed.require_forward_param_sync = True


@contextlib.contextmanager
def _kept_metrics(module: nn.Module) -> Iterator[None]:
    """Empty the metrics of a module for the length of a block, and give them back what they had gathered."""
    metrics = [one for one in module.modules() if isinstance(one, Metric)]
    names = ("_update_count", "_computed", "_forward_cache")
    kept = [copy.deepcopy({n: vars(one).get(n) for n in (*one._defaults, *names)}) for one in metrics]
    for metric in metrics:
        metric.reset()
    try:
        yield
    finally:
        for metric, state in zip(metrics, kept, strict=True):
            vars(metric).update(state)
