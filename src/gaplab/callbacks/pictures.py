"""When decision regions are drawn: small ones for TensorBoard's slider, a large one at the end."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from gaplab.data.datamodule import Split

SHOWN_POINTS = 2_000


class DecisionPictures(Callback):
    """Draws decision regions with the training points, at some evaluations and at the end."""

    def __init__(self, folder: Path, every_n_evaluations: int = 4) -> None:
        self.folder = folder
        self.every_n_evaluations = every_n_evaluations
        self.num_evaluations = 0

    def state_dict(self) -> dict[str, Any]:
        return {"num_evaluations": self.num_evaluations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_evaluations = state_dict["num_evaluations"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        self.num_evaluations += 1
        if self.num_evaluations % self.every_n_evaluations:
            return
        from gaplab.figures.decision_regions import raster_decision_regions

        train = _shown(trainer.datamodule.splits["train"])  # type: ignore[attr-defined]
        picture = raster_decision_regions(_predictor(pl_module), train.points, train.labels)
        self._log(trainer, "decision_regions/training", picture)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        # matplotlib takes half a second to import: only now.
        from gaplab.figures.decision_regions import draw_decision_regions
        from gaplab.figures.rendering import raster, save_png

        test = _shown(trainer.datamodule.splits["test"])  # type: ignore[attr-defined]
        title = f"test points after {trainer.global_step} steps"
        figure = draw_decision_regions(_predictor(pl_module), test.points, test.labels, title=title)
        save_png(figure, self.folder / "decision_regions.png")
        self._log(trainer, "decision_regions/test", raster(figure))

    def _log(self, trainer: Trainer, tag: str, picture: Tensor) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(tag, picture.cpu(), trainer.global_step, dataformats="HWC")


def _shown(split: Split) -> Split:
    """Every k-th point, so that a picture stays legible."""
    return split[slice(None, None, max(1, len(split) // SHOWN_POINTS))]


def _predictor(module: LightningModule):  # type: ignore[no-untyped-def]
    parameter = next(module.parameters())

    @torch.no_grad()
    def predict(points: Tensor) -> Tensor:
        training = module.training
        module.eval()
        probabilities = module(points.to(parameter)).softmax(dim=1).float().cpu()
        module.train(training)
        return probabilities

    return predict
