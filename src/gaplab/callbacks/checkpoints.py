"""When ``last.ckpt`` and ``best.ckpt`` are written, and when a run leaves because it was told to."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.errors import Preempted
from gaplab.process.signals import STOP_SIGNAL
from gaplab.runs.recorder import Recorder
from gaplab.tensorboard.event_files import event_sizes


class Checkpoints(Callback):
    """Saves ``last.ckpt`` every few seconds and at the end, ``best.ckpt`` when the recorder has a new best.

    It saves before a block of steps, when the measurement after the block before is done: a run that
    continues from there repeats no measurement and leaves none out. The state holds the sizes of the event
    files at that moment, to which they are cut when the run continues. ``previous.ckpt`` is the file that
    the latest ``last.ckpt`` replaced.

    After a stop signal the run is saved, and ``Preempted`` is raised on all processes at once.

    Lightning's ``ModelCheckpoint`` keeps its own notion of the last file name and of versions, which a run
    that is resumed in its directory does not want.
    """

    def __init__(
        self, last: Path, best: Path, every_n_seconds: float, recorder: Recorder | None = None
    ) -> None:
        self.last, self.best = last, best
        self.every_n_seconds = every_n_seconds
        self.recorder = recorder
        self.saved_step = -1
        self.saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"event_sizes": event_sizes(self.last.parent.parent)}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        STOP_SIGNAL.install()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        recorder = self.recorder
        if trainer.state.fn != "fit" or recorder is None or not recorder.has_best:
            return
        if recorder.best_step == trainer.global_step:
            trainer.save_checkpoint(self.best, weights_only=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        STOP_SIGNAL.install()
        if trainer.ckpt_path is not None:
            self.saved_step = trainer.global_step

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        due, number = time.monotonic() - self.saved_at >= self.every_n_seconds, STOP_SIGNAL.number
        if trainer.world_size > 1:
            votes = torch.tensor([due and trainer.is_global_zero, number], device=pl_module.device)
            torch.distributed.all_reduce(votes, op=torch.distributed.ReduceOp.MAX)
            due, number = votes.tolist()
        if due or number:
            self.save(trainer)
        if number:
            raise Preempted(number, trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write ``last.ckpt`` unless it already holds this step."""
        if trainer.global_step != self.saved_step:
            if trainer.is_global_zero:
                for logger in trainer.loggers:
                    logger.save()
                keep_previous(self.last)
            trainer.save_checkpoint(self.last)
            self.saved_step = trainer.global_step
        self.saved_at = time.monotonic()


def keep_previous(last: Path) -> None:
    """Let ``previous.ckpt`` be the file that is ``last.ckpt`` now; ``last.ckpt`` stays in place."""
    if not last.is_file():
        return
    spare = last.with_name(".previous.ckpt.new")
    spare.unlink(missing_ok=True)
    try:
        os.link(last, spare)
    except OSError:  # a file system without hard links
        shutil.copyfile(last, spare)
    spare.replace(last.with_name("previous.ckpt"))
