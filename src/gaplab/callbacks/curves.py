"""Writes every measurement to the loggers, and lays out TensorBoard's custom charts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.tensorboard import SummaryWriter

from gaplab.callbacks.generalization_gap import scorecard
from gaplab.metrics.scorecard import band_edges
from gaplab.runs.recorder import Recorder
from gaplab.runs.results import Result
from gaplab.tensorboard.custom_scalars import SUBRUN_QUANTITIES, charts
from gaplab.tensorboard.loggers import EventFiles, MetricsTable, event_writer, forget_after
from gaplab.tensorboard.tags import split_quantities


class GapCurves(Callback):
    """Logs losses, accuracies, gaps and the scale of all splits at equal weights, against optimiser steps.

    The bounds that only count points and parameters stay the same all along. TensorBoard gets them at every
    measurement, so that they are lines beside the gap.

    Args:
        subruns: Whether ``SubRunCurves`` writes too, which the custom charts can use.
        recorder: Has what was measured.
        lines: Returns what stays the same in training, of data module and task.
    """

    def __init__(
        self, subruns: bool, recorder: Recorder, lines: Callable[[Any, Any], dict[str, float]]
    ) -> None:
        self.subruns = subruns
        self.recorder = recorder
        self.lines = lines
        self.laid_out = False
        self.bounds: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, EventFiles | MetricsTable):
                logger.forget_after(trainer.global_step)
        self.laid_out = bool(self.recorder.history)  # of an earlier part of the same run
        self.bounds = self.lines(trainer.datamodule, pl_module)  # type: ignore[attr-defined]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        losses: dict[str, float] = getattr(pl_module, "block_losses", {})
        table = self.recorder.history[trainer.global_step]
        extra = {"optimizer/lr": trainer.optimizers[0].param_groups[0]["lr"]} | band_edges(table)
        for logger in trainer.loggers:
            logger.log_metrics(table | extra | losses, step=trainer.global_step)
        writer = event_writer(trainer)
        if writer is None:
            return
        for tag, value in self.bounds.items():
            writer.add_scalar(tag, value, trainer.global_step)
        if not self.laid_out:
            writer.add_custom_scalars(charts([*table, *extra, *self.bounds], self.subruns))
            self.laid_out = True

    def on_result(self, trainer: Trainer, result: Result) -> None:
        """Write to TensorBoard what only the end has measured, such as the slow tests of a GAN."""
        writer = event_writer(trainer)
        if writer is not None:
            known = self.recorder.history.get(result.step, {})
            for tag in sorted(result.last.keys() - known.keys()):
                writer.add_scalar(tag, result.last[tag], result.step)
            writer.flush()


class SubRunCurves(Callback):
    """Writes one tag for train, val and test from a sub-run each: TensorBoard colours by run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writers: dict[str, SummaryWriter] = {}
        self.first_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.first_step = trainer.global_step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        table = scorecard(pl_module)
        quantities = SUBRUN_QUANTITIES | {name: f"{name}/{{split}}" for name in split_quantities(table)}
        for split in dict.fromkeys(tag.rpartition("/")[2] for tag in table if not tag.startswith("gap/")):
            values = {tag: table.get(name.format(split=split)) for tag, name in quantities.items()}
            for tag, value in values.items():
                if value is not None:
                    self._writer(split).add_scalar(tag, value, trainer.global_step)
            if split in self.writers:
                self.writers[split].flush()

    def _writer(self, split: str) -> SummaryWriter:
        if split not in self.writers:
            self.writers[split] = SummaryWriter(str(self.folder / split))
            if self.first_step > 0:
                forget_after(self.writers[split], self.first_step)
        return self.writers[split]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for writer in self.writers.values():
            writer.close()
        self.writers = {}
