"""The pictures of an autoencoder: points and what it makes of them."""

import functools

import torch
from torch import Tensor

from gaplab.data.datamodule import PointDataModule
from gaplab.figures.reconstructions import draw_reconstructions
from gaplab.tasks.autoencoder import Autoencoder
from gaplab.tasks.classifier_figures import Render, logits_of, thinned

SHOWN_POINTS = 300


def autoencoder_figures(task: Autoencoder, data: PointDataModule, step: int) -> dict[str, Render]:
    """Return the pictures at an optimiser step: the first two coordinates of points of train and test."""

    def draw(name: str) -> Tensor:
        points = thinned(data.splits[name], SHOWN_POINTS).points
        return draw_reconstructions(
            _plane(points),
            _plane(logits_of(task, points)),
            title=f"Reconstructions, {name} points, step {step:,}",
        )

    return {f"reconstructions_{name}": functools.partial(draw, name) for name in ("train", "test")}


def _plane(points: Tensor) -> Tensor:
    """Return the first two coordinates [P, 2]; of points with one coordinate the second one is 0."""
    flat = points.flatten(1)[:, :2]
    return torch.nn.functional.pad(flat, (0, 2 - flat.shape[1]))
