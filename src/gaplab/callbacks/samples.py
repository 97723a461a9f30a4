"""When samples are drawn: small pictures for a slider and an animation, a large one at the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from gaplab.tasks.generation import AdversarialTask

SHOWN_POINTS = 1_000
NUM_FRAMES = 40


class SamplePictures(Callback):
    """Draws real and generated points with the discriminator's field.

    Frames are kept as ``samples/<step>.png``, so that the animation of a resumed run is whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drawn = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialTask)
        self.drawn = self._due(trainer, pl_module) if trainer.global_step else 0
        if trainer.is_global_zero and trainer.global_step == 0:
            self._draw_frame(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, AdversarialTask)
        due = self._due(trainer, pl_module)
        if trainer.is_global_zero and due > self.drawn:
            self._draw_frame(trainer, pl_module)
        self.drawn = due

    def _due(self, trainer: Trainer, task: AdversarialTask) -> int:
        return trainer.global_step * NUM_FRAMES // task.num_steps

    def _draw_frame(self, trainer: Trainer, task: AdversarialTask) -> None:
        from gaplab.figures.generation import raster_samples, save_frame

        picture = raster_samples(**_scene(trainer, task))
        save_frame(picture, self.folder / "samples" / f"{trainer.global_step:09d}.png")
        _log(trainer, "samples/training", picture)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialTask)
        if not trainer.is_global_zero:
            return
        # matplotlib takes half a second to import: only now.
        from gaplab.figures.generation import draw_samples, save_animation
        from gaplab.figures.rendering import raster, save_png

        title = f"after {trainer.global_step} steps"
        figure = draw_samples(**_scene(trainer, pl_module), title=title)
        save_png(figure, self.folder / "samples.png")
        _log(trainer, "samples/end", raster(figure))
        frames = sorted((self.folder / "samples").glob("*.png"))
        past = [frame for frame in frames if int(frame.stem) <= trainer.global_step]
        if past:
            save_animation(past, self.folder / "samples.gif")


def _scene(trainer: Trainer, task: AdversarialTask) -> dict[str, Any]:
    """Return what a picture shows: points, their labels for a conditional GAN, and the field."""
    splits = trainer.datamodule.splits  # type: ignore[attr-defined]
    test = splits["test"]
    real = test[slice(None, None, -(-len(test) // SHOWN_POINTS))]
    fake, labels = task.draw_samples(SHOWN_POINTS, splits["train"], "picture")
    scene: dict[str, Any] = {"real": real.points, "fake": fake}
    classes = [0]
    if task.config.label_embedding:
        scene |= {"real_labels": real.labels, "fake_labels": labels}
        classes = splits["train"].labels.unique().tolist()
    return scene | {"field": _mean_field(task, classes)}


def _mean_field(task: AdversarialTask, classes: list[int]) -> Callable[[Tensor], Tensor]:
    """Return the discriminator's score of points, a mean over the classes that it may be told."""

    def field(points: Tensor) -> Tensor:
        labels = [torch.full((len(points),), c, device=points.device) for c in classes]
        return torch.stack([task.field(points, label) for label in labels]).mean(dim=0)

    return field


def _log(trainer: Trainer, tag: str, picture: Tensor) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(tag, picture.cpu(), trainer.global_step, dataformats="HWC")
