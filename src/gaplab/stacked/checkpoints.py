"""When the runs of a chunk are saved, written and reported."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch import LightningModule, Trainer

from gaplab.callbacks.checkpoints import Checkpoints
from gaplab.runs.recorder import Recorder


class KeptRuns(Protocol):
    """What is saved: the runs of a chunk."""

    members: Sequence[Recorder]
    report: Callable[[int, int], None] | None

    def save_all(self, trainer: Trainer) -> None: ...

    def finalize_finished(self, trainer: Trainer) -> None: ...


class StackedCheckpoints(Checkpoints):
    """Saves all runs of a chunk at intervals, writes those that are over, and reports the progress.

    What Ctrl-C and SIGTERM do is inherited.
    """

    def __init__(self, chunk: KeptRuns, last: Path, every_n_seconds: float, until: int | None) -> None:
        super().__init__(last, last, every_n_seconds, until=until)
        self.chunk = chunk
        self.known_diverged = 0

    def state_dict(self) -> dict[str, Any]:
        return {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        chunk = self.chunk
        training = sum(member.active for member in chunk.members)
        diverged = sum(member.divergence is not None for member in chunk.members)
        if chunk.report is not None:
            chunk.report(len(batch) * len(chunk.members), diverged - self.known_diverged)
        self.known_diverged = diverged
        if training == 0:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.chunk.finalize_finished(trainer)
        if not any(member.active for member in self.chunk.members):
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.chunk.finalize_finished(trainer)

    def save(self, trainer: Trainer) -> None:
        if trainer.global_step != self.saved_step:
            self.chunk.save_all(trainer)
            self.saved_step = trainer.global_step
        self.saved_at = time.monotonic()
