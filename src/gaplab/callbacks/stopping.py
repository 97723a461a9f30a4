"""When a run is measured, and when it ends."""

import sys
from bisect import bisect
from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.data.datamodule import PointDataModule
from gaplab.data.loader import TrainLoader
from gaplab.tasks.block_loop import BlockOptimization, ManualBlockOptimization, use_blocks

CompiledLoop = Callable[[Trainer, LightningModule], BlockOptimization | ManualBlockOptimization | None]


class StepLimits(Callback):
    """Lets Lightning measure and stop by optimiser steps, whatever its loop counts.

    A measurement at step 0 comes before the first step. Training ends at the last optimiser step, with a
    measurement there even if none is due. Lightning's own limit would not let a finished run continue when its
    number of steps is raised. Point sets are served in blocks where nothing stands against it
    (tasks/block_loop.py).

    Args:
        evaluation_steps: The steps at which all splits are measured, in order; the last one ends the run.
        block_steps: Most steps in a block.
        compiled_loop: Returns the loop that takes blocks in compiled code, where one is to.
    """

    def __init__(
        self,
        evaluation_steps: Sequence[int],
        block_steps: int,
        compiled_loop: CompiledLoop | None = None,
    ) -> None:
        self.evaluation_steps = evaluation_steps
        self.num_steps = evaluation_steps[-1]
        self.block_steps = block_steps
        self.compiled_loop = compiled_loop
        self.step = 0
        """Optimiser steps when a measurement was last thought of."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit" and isinstance(data, PointDataModule):
            # Asked for with the loader, when optimisers and schedules are known.
            data.block_steps = lambda: self._block_steps(trainer, pl_module)

    def _block_steps(self, trainer: Trainer, pl_module: LightningModule) -> int:
        loop = self.compiled_loop(trainer, pl_module) if self.compiled_loop and self.block_steps > 1 else None
        return use_blocks(trainer, pl_module, self.block_steps, loop)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # A stacked run, and formerly every run, counts in manual optimisation what automatic one goes on with.
        if "loops" in checkpoint:
            loops, step = checkpoint["loops"]["fit_loop"], checkpoint["global_step"]
            automatic = loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]
            for counters in (automatic, loops["epoch_loop.manual_optimization.optim_step_progress"]):
                counters["total"] |= {"ready": step, "completed": step}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step, loader, loops = trainer.global_step, trainer.train_dataloader, trainer.fit_loop
        if isinstance(loader, TrainLoader):
            # Whatever the counters of an earlier part of the run counted, other blocks or none.
            epoch, items = loader.position(step)
            progress = loops.epoch_loop.batch_progress
            progress.total.ready = epoch * len(loader) + items
            for name in ("ready", "started", "processed", "completed"):
                setattr(progress.current, name, items)
                setattr(loops.epoch_progress.current, name, epoch)
        trainer.should_stop = step >= self.num_steps
        self.step = step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.evaluation_steps[0] == trainer.global_step == 0 and trainer.ckpt_path is None:
            trainer.validating = True  # as Lightning's loop does between two batches
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # The x axis of loggers, which Lightning moves by one when it restarts between two batches.
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, due = trainer.global_step, self.evaluation_steps
        trainer.val_check_batch = 1 if bisect(due, step) > bisect(due, self.step) else sys.maxsize
        self.step = step
        if step >= self.num_steps:
            trainer.should_stop = True
