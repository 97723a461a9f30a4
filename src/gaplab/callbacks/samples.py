"""When samples are drawn: forty times along the run, for TensorBoard's slider and an animation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from gaplab.callbacks.pictures import warn_of_undrawn
from gaplab.data.datamodule import PointDataModule
from gaplab.storage.atomic import write_bytes
from gaplab.tasks.gan import GAN
from gaplab.tensorboard.loggers import event_writer, write_picture

SHOWN_POINTS = 1_000
NUM_FRAMES = 40


class SamplePictures(Callback):
    """Draws true and generated points with the discriminator's field.

    Frames stay as ``samples/<step>.png``, so that the animation of a continued run is whole.

    Args:
        folder: Where ``samples.png`` shows the end of the run and ``samples.gif`` the way there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drawn = -1
        """Which of the pictures is the latest; the first one is number 0."""

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.drawn = state_dict["drawn"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw_if_due(trainer, cast(GAN, pl_module))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._draw_if_due(trainer, cast(GAN, pl_module))

    def _draw_if_due(self, trainer: Trainer, task: GAN) -> None:
        due = trainer.global_step * NUM_FRAMES // task.num_steps
        if due > self.drawn:
            self.drawn = due
            self._draw(trainer, task)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        from gaplab.figures.samples import encode_animation

        frames = sorted((self.folder / "samples").glob("*.png"))
        shown = [frame.read_bytes() for frame in frames if int(frame.stem) <= trainer.global_step]
        if shown:
            write_bytes(self.folder / "samples.png", shown[-1], durable=False)
            write_bytes(self.folder / "samples.gif", encode_animation(shown), durable=False)

    def _draw(self, trainer: Trainer, task: GAN) -> None:
        if not trainer.is_global_zero:
            return
        step = trainer.global_step
        drawn = picture(task, trainer.datamodule, step)  # type: ignore[attr-defined]
        if drawn is None:
            return
        pixels, png = drawn
        write_bytes(self.folder / "samples" / f"{step:09d}.png", png, durable=False)
        writer = event_writer(trainer)
        if writer is not None:
            write_picture(writer, "pictures/1_samples", pixels, step, png)


def picture(task: GAN, data: PointDataModule, step: int) -> tuple[Tensor, bytes] | None:
    """Return the picture of a GAN at an optimiser step, as pixels [H, W, 3] and as a PNG.

    None, with a warning, where it cannot be drawn: whatever network a user brings, a run is worth more.
    """
    # Pillow is needed from here on only.
    from gaplab.figures.canvas import encode_png
    from gaplab.figures.samples import draw_samples

    try:
        pixels = draw_samples(**scene(task, data), title=f"step {step:,}")
        return pixels, encode_png(pixels)
    except Exception as error:
        warn_of_undrawn("The picture samples", error)
        return None


def scene(task: GAN, data: PointDataModule) -> dict[str, Any]:
    """Return what a picture shows: points, their labels for a conditional GAN, and the field."""
    test = data.splits["test"]
    real = test[slice(None, None, -(-len(test) // SHOWN_POINTS))]
    fake, labels = task.draw_samples(SHOWN_POINTS, data.splits["train"], "picture")
    if not task.config.label_embedding:
        return {"real": real.points, "fake": fake, "field": mean_field(task, [0])}
    field = mean_field(task, data.splits["train"].labels.unique().tolist())
    return {
        "real": real.points,
        "fake": fake,
        "field": field,
        "real_labels": real.labels,
        "fake_labels": labels,
    }


def mean_field(task: GAN, classes: list[int]) -> Callable[[Tensor], Tensor]:
    """Return the discriminator's score of points, a mean over the classes that it may be told."""

    def field(points: Tensor) -> Tensor:
        labels = [torch.full((len(points),), c, device=points.device) for c in classes]
        return torch.stack([task.field(points, label) for label in labels]).mean(dim=0)

    return field
