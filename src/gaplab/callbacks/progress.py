"""One line on the terminal: steps, speed, losses and gap; one line a measurement where there is none."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gaplab.callbacks.cost import TrainingCost
from gaplab.runs.recorder import Recorder


def shows_bars() -> bool:
    """Whether a bar can move where the output goes."""
    console = Console()
    return console.is_terminal or console.is_jupyter


class ProgressLines(Callback):
    """Says after every measurement where a run stands: in its log, and to outputs that are no terminal.

    Args:
        recorder: Has what was measured.
        cost: Has the speed.
        write: Takes a line for the log.
        shown: Whether the lines are printed too.
    """

    def __init__(
        self, recorder: Recorder, cost: TrainingCost, write: Callable[[str], None], *, shown: bool
    ) -> None:
        self.recorder, self.cost, self.write, self.shown = recorder, cost, write, shown

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        step, config = trainer.global_step, self.recorder.config
        table = self.recorder.history[step]
        monitor = self.recorder.monitored(table)
        tags = {split: monitor.format(split=split) for split in ("train", "val", "test")}
        values = [f"{split} {table[tag]:.4g}" for split, tag in tags.items() if tag in table]
        quantity = monitor.replace("{split}", "").rstrip("/_")
        in_epochs = config.task.has_own_data and config.trainer.max_epochs is not None
        steps = trainer.estimated_stepping_batches if in_epochs else config.num_steps
        line = f"step {step} of {steps}: {quantity} {', '.join(values)}  {self.cost}"
        self.write(line)
        if self.shown:
            print(line, flush=True)


class StepProgress(ProgressBar):
    """A Rich bar that counts optimiser steps, where Lightning's own would count blocks of steps.

    Args:
        num_steps: Steps of the run; None for what Lightning makes of its epochs.
        cost: Has the speed and the memory.
    """

    def __init__(self, num_steps: int | None, cost: TrainingCost) -> None:
        super().__init__()
        self.cost = cost
        self.num_steps = num_steps
        self.bar: Progress | None = None

    def disable(self) -> None:
        """Lightning calls this on all ranks but the first."""
        self.num_steps = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.num_steps == 0 or not shows_bars():
            return
        total = trainer.estimated_stepping_batches if self.num_steps is None else self.num_steps
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(),
            transient=True,
        )
        self.bar.start()
        self.bar.add_task("training", total=total, shown="", completed=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.bar is not None:
            metrics, shown = trainer.callback_metrics, str(self.cost)
            if "loss/test" in metrics:
                train, test = float(metrics["loss/train"]), float(metrics["loss/test"])
                shown = f"train {train:.4f}  test {test:.4f}  gap {test - train:+.4f}  {shown}"
            self.bar.update(self.bar.task_ids[0], shown=shown)

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.stop()
