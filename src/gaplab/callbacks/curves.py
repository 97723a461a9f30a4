"""Writes every measurement to the loggers, and lays out TensorBoard's custom charts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.tensorboard import SummaryWriter

from gaplab.callbacks.generalization_gap import scorecard
from gaplab.metrics.scorecard import band_edges, half_width
from gaplab.reports.gap_curves import gap_curves
from gaplab.runs.recorder import Recorder
from gaplab.runs.results import Result
from gaplab.tensorboard.custom_scalars import SUBRUN_QUANTITIES, charts
from gaplab.tensorboard.links import headline
from gaplab.tensorboard.loggers import EventFiles, MetricsTable, event_writer, forget_after, write_picture
from gaplab.tensorboard.tags import SPLITS, split_quantities


class GapCurves(Callback):
    """Logs losses, accuracies, gaps and the scale of all splits at equal weights, against optimiser steps.

    The bounds that only count points and parameters stay the same all along. TensorBoard gets them at every
    measurement, so that they are lines beside the gap.

    Args:
        subruns: Whether ``SubRunCurves`` writes too, which the custom charts can use.
        recorder: Has what was measured.
        lines: Returns what stays the same in training, of data module and task.
        pictures: Whether to draw the gaps at the end.
    """

    def __init__(
        self,
        subruns: bool,
        recorder: Recorder,
        lines: Callable[[Any, Any], dict[str, float]],
        pictures: bool = False,
    ) -> None:
        self.pictures = pictures
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
            if self.pictures:
                self._draw_gaps(writer, result.step)
            writer.flush()

    def _draw_gaps(self, writer: SummaryWriter, step: int) -> None:
        # Pillow is needed from here on only.
        from gaplab.figures.canvas import encode_png
        from gaplab.figures.gap_over_steps import draw_gap_over_steps

        for curve in gap_curves(self.recorder.history):
            pixels = draw_gap_over_steps(curve.steps, curve.gap, curve.half_widths, quantity=curve.quantity)
            tag = f"pictures/1_gap_{curve.quantity.replace('/', '_')}"
            write_picture(writer, tag, pixels, step, encode_png(pixels))


class SubRunCurves(Callback):
    """Writes one tag for train, val and test from a sub-run each: TensorBoard colours by run.

    The gaps stand once more in a group that sorts first, with the ends of their 95 % intervals in sub-runs.
    """

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
        for split in SPLITS:
            values = {tag: table.get(name.format(split=split)) for tag, name in quantities.items()}
            for tag, value in values.items():
                if value is not None:
                    self._writer(split).add_scalar(tag, value, trainer.global_step)
        for tag in quantities:
            self._write_gap(trainer, f"gap/{tag.replace('/', '_')}", table)
        for writer in self.writers.values():
            writer.flush()

    def _write_gap(self, trainer: Trainer, gap: str, table: dict[str, float]) -> None:
        whole = event_writer(trainer)
        if gap in table and whole is not None:
            whole.add_scalar(headline(gap), table[gap], trainer.global_step)
            if (width := half_width(table, gap)) is not None:
                for name, end in (("95% lower", table[gap] - width), ("95% upper", table[gap] + width)):
                    self._writer(name).add_scalar(headline(gap), end, trainer.global_step)

    def _writer(self, name: str) -> SummaryWriter:
        if name not in self.writers:
            self.writers[name] = SummaryWriter(str(self.folder / name))
            if self.first_step > 0:
                forget_after(self.writers[name], self.first_step)
        return self.writers[name]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for writer in self.writers.values():
            writer.close()
        self.writers = {}
