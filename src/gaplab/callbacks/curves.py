"""Writes every measurement to the loggers, and lays out TensorBoard's custom charts."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.tensorboard import SummaryWriter

from gaplab.callbacks.loggers import EventFiles, MetricsTable, event_writer, forget_after
from gaplab.tasks.task import Task

Layout = dict[str, dict[str, list[Any]]]
"""Category to chart title to kind and tags, as ``SummaryWriter.add_custom_scalars`` takes it."""

SPLIT_QUANTITIES = ("loss", "accuracy")


def charts_of_classifier(subruns: bool) -> Layout:
    """Return the custom charts. Entries are regular expressions that TensorBoard matches from the start."""
    splits = "$" if subruns else "/(train|val|test)$"
    return {
        "gaplab": {
            "Loss": ["Multiline", [f"^loss{splits}"]],
            "Accuracy": ["Multiline", [f"^accuracy{splits}"]],
            "Gap, scale and bounds": ["Multiline", ["^gap/loss$", "^scale/", "^bound/"]],
            "Gradient norm by layer": ["Multiline", ["^gradient_norm/"]],
            # TensorBoard shows charts with a band after all others.
            "Generalization gap": ["Margin", ["gap/loss", "gap/loss_lower", "gap/loss_upper"]],
        }
    }


class GapCurves(Callback):
    """Logs losses, accuracies, gaps and the scale of all splits at equal weights, against optimiser steps.

    Args:
        layout: TensorBoard's custom charts.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.history: dict[int, dict[str, float]] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, EventFiles | MetricsTable):
                logger.forget_after(trainer.global_step)
        writer = event_writer(trainer)
        if writer is not None and trainer.ckpt_path is None:
            writer.add_custom_scalars(self.layout)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        table = pl_module.scorecard()
        self.history[trainer.global_step] = table
        extra = {"optimizer/lr": trainer.optimizers[0].param_groups[0]["lr"]}
        if "gap/loss_error" in table:
            extra["gap/loss_lower"] = table["gap/loss"] - table["gap/loss_error"]
            extra["gap/loss_upper"] = table["gap/loss"] + table["gap/loss_error"]
        for logger in trainer.loggers:
            logger.log_metrics(table | extra | pl_module.block_losses, step=trainer.global_step)


class SubRunCurves(Callback):
    """Writes ``loss`` and ``accuracy`` of each split from a sub-run: TensorBoard colours by run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writers: dict[str, SummaryWriter] = {}
        self.first_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.first_step = trainer.global_step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Task)
        table = pl_module.scorecard()
        for split in pl_module.scores:
            if split not in self.writers:
                self.writers[split] = SummaryWriter(str(self.folder / split))
                if self.first_step > 0:
                    forget_after(self.writers[split], self.first_step)
            for quantity in SPLIT_QUANTITIES:
                if f"{quantity}/{split}" in table:
                    value = table[f"{quantity}/{split}"]
                    self.writers[split].add_scalar(quantity, value, trainer.global_step)
            self.writers[split].flush()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for writer in self.writers.values():
            writer.close()
        self.writers = {}
