"""Writes every measurement to the loggers, and lays out TensorBoard's custom charts."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from gaplab.tasks.task import Task

LAYOUT = {
    "gaplab": {
        "1 Loss": ["Multiline", ["^loss/(train|val|test)$"]],
        "2 Generalization gap": ["Multiline", ["^gap/loss$", "^scale/", "^bound/"]],
        "3 Generalization gap, error band": ["Margin", ["gap/loss", "gap/loss_lower", "gap/loss_upper"]],
        "4 Accuracy": ["Multiline", ["^accuracy/(train|val|test)$"]],
    }
}


class GapCurves(Callback):
    """Logs losses, accuracies, gaps and the scale of all splits at equal weights, against optimiser steps."""

    def __init__(self) -> None:
        self.history: dict[int, dict[str, float]] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_custom_scalars(LAYOUT)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        table = pl_module.scorecard()
        self.history[trainer.global_step] = table
        extra = {"optimizer/lr": trainer.optimizers[0].param_groups[0]["lr"]}
        if "gap/loss" in table:
            error = table["gap/loss_error"]
            extra["gap/loss_lower"] = table["gap/loss"] - error
            extra["gap/loss_upper"] = table["gap/loss"] + error
        for logger in trainer.loggers:
            logger.log_metrics(table | extra | pl_module.block_losses, step=trainer.global_step)
