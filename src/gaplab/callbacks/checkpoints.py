"""When ``last.ckpt`` and ``best.ckpt`` are written, and when a run leaves because it was told to."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.errors import Preempted, Pruned
from gaplab.process.signals import STOP_SIGNAL
from gaplab.runs.recorder import Recorder
from gaplab.tensorboard.event_files import event_sizes


@dataclass(frozen=True, slots=True)
class CheckpointSteps:
    """Whose weights are kept beside the last and the best ones.

    >>> [step for step in range(1, 101) if step in CheckpointSteps("log")]
    [1, 2, 5, 10, 20, 50, 100]
    """

    steps: Sequence[int] | str = ()
    """Optimiser steps, or ``log`` for 1, 2, 5 and their multiples by powers of ten."""
    best: int = 1
    """The number of best measurements."""

    def __contains__(self, step: int) -> bool:
        if isinstance(self.steps, str):
            return step > 0 and str(step).rstrip("0") in ("1", "2", "5")
        return step in self.steps


class Checkpoints(Callback):
    """Saves ``last.ckpt`` every few seconds and at the end, ``best.ckpt`` when the recorder has a new best.

    It saves before a block of steps, when the measurement after the block before is done: a run that
    continues from there repeats no measurement and leaves none out. The state holds the sizes of the event
    files at that moment, to which they are cut when the run continues. ``previous.ckpt`` is the file that
    the latest ``last.ckpt`` replaced.

    After the steps of ``keep``, and for its best measurements, the weights are kept as ``step=N.ckpt``.

    After a stop signal the run is saved, and ``Preempted`` is raised on all processes at once; so is ``Pruned`` at
    the step ``until``, where a search looks at the run.

    Lightning's ``ModelCheckpoint`` keeps its own notion of the last file name and of versions, which a run
    that is resumed in its directory does not want.
    """

    def __init__(
        self,
        last: Path,
        best: Path,
        every_n_seconds: float,
        recorder: Recorder | None = None,
        keep: CheckpointSteps = CheckpointSteps(),  # frozen
        until: int | None = None,
    ) -> None:
        self.last, self.best = last, best
        self.every_n_seconds = every_n_seconds
        self.recorder, self.keep, self.until = recorder, keep, until
        self.saved_step = self.kept_step = -1
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
        if trainer.state.fn == "fit" and self.recorder is not None and self.keep.best > 1:
            self._keep_best(trainer, self.recorder.best_steps(self.keep.best))

    def _keep_best(self, trainer: Trainer, steps: list[int]) -> None:
        """Keep the weights of some measurements, and remove those that are no longer among them."""
        if trainer.global_step in steps:
            trainer.save_checkpoint(self._at(trainer.global_step), weights_only=True)
        for file in self.last.parent.glob("step=*.ckpt") if trainer.is_global_zero else ():
            step = int(file.stem.partition("=")[2])
            if step not in steps and step not in self.keep:
                file.unlink()

    def _at(self, step: int) -> Path:
        return self.last.with_name(f"step={step}.ckpt")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step in self.keep and step != self.kept_step:
            self.kept_step = step
            trainer.save_checkpoint(self._at(step), weights_only=True)

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
        pruned = self.until is not None and trainer.global_step >= self.until
        if due or number or pruned:
            self.save(trainer)
        if number:
            raise Preempted(number, trainer.global_step)
        if pruned:
            raise Pruned(trainer.global_step)

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
