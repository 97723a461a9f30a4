"""The steps of a whole block of batches in one call of Lightning's loop.

One step of a small network takes less time than Lightning's bookkeeping around it. These loops do the
bookkeeping once a block. Weights are those of the stock loop bit for bit; hooks between two steps are not
called, which is why ``obstacle`` looks for anybody who wants them.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ProgressBar
from lightning.pytorch.loops.optimization.automatic import _AutomaticOptimization
from lightning.pytorch.loops.optimization.manual import _ManualOptimization
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from gaplab.data.loader import Batch, Block
from gaplab.distributed.exact_ddp import ExactDDPStrategy

_log = logging.getLogger(__name__)

STEP_HOOKS = (
    *("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward"),
    *("on_after_backward", "on_before_optimizer_step"),
)
CALLBACK_HOOKS = (*STEP_HOOKS, "on_train_epoch_start", "on_train_epoch_end")
MODULE_HOOKS = (*CALLBACK_HOOKS, "backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step")


class BlockOptimization(_AutomaticOptimization):
    """Automatic optimisation that also takes a ``Block``."""

    def run(self, optimizer: Optimizer, batch_idx: int, kwargs: OrderedDict[str, Any]) -> dict[str, Any]:
        block = kwargs["batch"]
        if not isinstance(block, Block):
            return super().run(optimizer, batch_idx, kwargs)
        output = self.take_steps(optimizer, block, kwargs)
        # Lightning counts one batch itself, and takes the last step of the schedule.
        _add(self.optim_progress.optimizer.step, len(block))
        self.trainer.fit_loop.epoch_loop._batches_that_stepped += len(block) - 1
        return output

    def take_steps(self, optimizer: Optimizer, block: Block, kwargs: OrderedDict[str, Any]) -> dict[str, Any]:
        """Take an optimiser step for each batch; return what ``training_step`` returned for the last one."""
        trainer, module = self.trainer, self.trainer.lightning_module
        strategy, direct = trainer.strategy, isinstance(trainer.strategy, SingleDeviceStrategy)
        clips = trainer.gradient_clip_val or _overridden(
            module, LightningModule, "configure_gradient_clipping"
        )
        plain = direct and type(trainer.precision_plugin) is Precision and strategy.model is module
        training_step = module.training_step if plain else strategy.training_step
        output: Any = None
        calls = 0

        def closure() -> Any:
            nonlocal output, calls
            calls += 1
            output = None  # lets go of the graph of the step before, whose memory is still near
            output = training_step(*kwargs.values())
            loss = output["loss"] if isinstance(output, Mapping) else output
            optimizer.zero_grad()
            if loss is None:
                return None
            if direct:
                loss.backward()
            else:
                strategy.backward(loss, optimizer)
            if clips:
                module.configure_gradient_clipping(
                    optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm
                )
            return loss.detach()

        module._current_fx_name = "training_step"
        for number, batch in enumerate(block):
            if number:
                self.step_schedules()
            _show(trainer, batch, kwargs)
            before = calls
            optimizer.step(closure)
            if calls == before:
                raise MisconfigurationException(
                    f"optimizer: expected {type(optimizer).__name__}.step(closure) to call closure(), which computes "
                    "the gradients, but it did not. Call it first, under torch.enable_grad(), and return its loss."
                )
        module._current_fx_name = None
        return {"loss": output.detach()} if isinstance(output, Tensor) else dict(output or {})

    def step_schedules(self) -> None:
        """Move the learning-rate schedules by one step."""
        for config in self.trainer.lr_scheduler_configs:
            config.scheduler.step()  # type: ignore[call-arg]


class ManualBlockOptimization(_ManualOptimization):
    """Manual optimisation that also takes a ``Block``."""

    def advance(self, kwargs: OrderedDict[str, Any]) -> None:
        block = kwargs["batch"]
        if not isinstance(block, Block):
            super().advance(kwargs)
            return
        for batch in block:
            _show(self.trainer, batch, kwargs)
            super().advance(kwargs)
        self.trainer.fit_loop.epoch_loop._batches_that_stepped += len(block) - 1


def use_blocks(
    trainer: Trainer,
    module: LightningModule,
    wanted: int,
    compiled: "BlockOptimization | ManualBlockOptimization | None" = None,
) -> int:
    """Return the steps of a block, with loops that take blocks in place; 1 where the stock loop must run.

    Args:
        trainer: Whose loops.
        module: What it trains.
        wanted: Most steps in a block.
        compiled: The loop that takes the module's steps, where another one than those of this file is to run.
    """
    if wanted == 1:
        return 1
    reason = obstacle(trainer, module)
    if reason is not None:
        _log.warning("Lightning's own loop takes the steps one by one, which is slower: %s.", reason)
        return 1
    loop = trainer.fit_loop.epoch_loop
    automatic = compiled if isinstance(compiled, BlockOptimization) else BlockOptimization(trainer)
    manual = compiled if isinstance(compiled, ManualBlockOptimization) else ManualBlockOptimization(trainer)
    automatic.optim_progress = loop.automatic_optimization.optim_progress
    manual.optim_step_progress = loop.manual_optimization.optim_step_progress
    loop.automatic_optimization, loop.manual_optimization = automatic, manual
    return wanted


def obstacle(trainer: Trainer, module: LightningModule) -> str | None:
    """Return what needs Lightning's own loop, as the end of a sentence; None where blocks do."""
    if trainer.accumulate_grad_batches != 1:
        return "gradients are accumulated over batches"
    if type(trainer.strategy) not in (SingleDeviceStrategy, ExactDDPStrategy):
        return f"{type(trainer.strategy).__name__} may want to see every step"
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        return f"trainer.precision={trainer.precision} scales every loss"
    if module.automatic_optimization and any(  # a module that steps by hand moves its schedules by hand
        c.interval != "step" or c.frequency != 1 or c.reduce_on_plateau for c in trainer.lr_scheduler_configs
    ):
        return "a learning-rate schedule does not move once a step"
    for hook in MODULE_HOOKS:
        if _overridden(module, LightningModule, hook) and not _ours(module, hook):
            return f"{type(module).__name__} defines {hook}"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if not isinstance(callback, EarlyStopping | ProgressBar):
            for hook in CALLBACK_HOOKS:
                if _overridden(callback, Callback, hook) and not _ours(callback, hook):
                    return f"the callback {type(callback).__name__} defines {hook}"
    return None


def count_steps(trainer: Trainer, num_steps: int) -> None:
    """Add to ``trainer.global_step`` steps that no optimiser of Lightning's takes, as a stacked run's."""
    _add(trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress, num_steps)


def _add(progress: Any, num_steps: int) -> None:
    for tracker in (progress.total, progress.current):
        tracker.ready += num_steps
        tracker.completed += num_steps


def _show(trainer: Trainer, batch: Batch, kwargs: OrderedDict[str, Any]) -> None:
    """Make a batch the one that ``training_step`` gets and ``self.log`` measures."""
    results = trainer.fit_loop.epoch_loop._results
    results.batch, results.batch_size, kwargs["batch"] = batch, None, batch


def _overridden(owner: object, base: type, name: str) -> bool:
    return getattr(type(owner), name) is not getattr(base, name)


def _ours(owner: object, name: str) -> bool:
    """Whether a hook belongs to a class of this package, and thus has blocks in mind."""
    owning = next(cls for cls in type(owner).__mro__ if name in vars(cls))
    return owning.__module__.partition(".")[0] == __name__.partition(".")[0]
