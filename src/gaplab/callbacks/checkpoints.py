"""When ``last.ckpt`` and ``best.ckpt`` are written."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Checkpoints(Callback):
    """Saves ``last.ckpt`` every few seconds and at the end, ``best.ckpt`` at the smallest validation loss.

    After the first Ctrl-C (or SIGTERM) the current block of steps is finished and saved, then
    ``KeyboardInterrupt`` is raised; the second Ctrl-C interrupts at once.

    Lightning's ``ModelCheckpoint`` keeps its own notion of the last file name and of versions, which a run
    that is resumed in its directory does not want.
    """

    def __init__(self, last: Path, best: Path, every_n_seconds: float) -> None:
        self.last, self.best = last, best
        self.every_n_seconds = every_n_seconds
        self.best_loss = float("inf")
        self.best_step = 0
        self.saved_step = -1
        self.saved_at = time.monotonic()
        self.interrupted = False
        self.handlers: dict[int, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss, self.best_step = state_dict["best_loss"], state_dict["best_step"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = trainer.callback_metrics.get("loss/val")
        if trainer.state.fn == "fit" and loss is not None and float(loss) < self.best_loss:
            self.best_loss, self.best_step = float(loss), trainer.global_step
            trainer.save_checkpoint(self.best, weights_only=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._note_interruption)

    def _note_interruption(self, number: int, frame: Any) -> None:
        self.interrupted = True
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        while self.handlers:
            signal.signal(*self.handlers.popitem())

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Not at the end of a batch: the measurement that is due there would be missing from the checkpoint,
        # and Lightning does not make up for it.
        due = time.monotonic() - self.saved_at >= self.every_n_seconds
        interrupted = self.interrupted
        if trainer.world_size > 1:
            due, interrupted = trainer.strategy.broadcast((due, interrupted))
        if due or interrupted:
            self.save(trainer)
        if interrupted:
            raise KeyboardInterrupt

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore_handlers()
        self.save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore_handlers()

    def save(self, trainer: Trainer) -> None:
        """Write ``last.ckpt`` unless it already holds this step."""
        if trainer.global_step != self.saved_step:
            trainer.save_checkpoint(self.last)
            self.saved_step = trainer.global_step
        self.saved_at = time.monotonic()
