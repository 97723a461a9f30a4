"""How a network folds the plane, layer by layer."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.figures.axes import Axes
from gaplab.figures.canvas import Canvas
from gaplab.figures.decision_regions import window
from gaplab.figures.palette import class_colors

PANEL, GAP, TOP = 240, 24, 44
MOST_PANELS = 6
GRID_COLOR = (0.78, 0.78, 0.78)


class Stage(NamedTuple):
    """What one layer makes of a grid over the plane and of the points."""

    grid: Tensor
    """[R, R, H]."""
    points: Tensor
    """[P, H]."""


class Projection(NamedTuple):
    """Two coordinates, and the share of the points' variance that they show."""

    grid: Tensor
    points: Tensor
    share: float


@torch.no_grad()
def project(stage: Stage) -> Projection:
    """Return a stage in the two principal components of its points; up to two features stay as they are."""
    features = stage.points.shape[1]
    if features <= 2:
        pad = (0, 2 - features)
        grid, points = (torch.nn.functional.pad(part.cpu().double(), pad) for part in stage)
        return Projection(grid, points, 1.0)
    points, grid = stage.points.cpu().double(), stage.grid.cpu().double()
    mean = points.mean(dim=0)
    _, singular, axes = torch.linalg.svd(points - mean, full_matrices=False)
    # The sign of a component is arbitrary: fix it, so that pictures of successive steps do not flip.
    axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)).sign()
    variance = singular.square()
    share = float(variance[:2].sum() / variance.sum().clamp(min=1e-300))
    return Projection((grid - mean) @ axes.T, (points - mean) @ axes.T, share)


def draw_layers(stages: Mapping[str, Stage], labels: Tensor, *, title: str = "") -> Tensor:
    """One panel a stage: the grid's lines and the points, coloured by class, where the layer puts them.

    More than two features are shown in the two principal components of the points; the panel's heading says
    which share of the variance that is. Of many stages, six are drawn, the first and the last among them.

    Args:
        stages: Name to grid and points.
        labels: Classes [P] of the points.
        title: Heading of the picture.

    Returns:
        Pixels [H, W, 3] uint8.
    """
    names = list(stages)
    if len(names) > MOST_PANELS:
        names = [names[round(i * (len(names) - 1) / (MOST_PANELS - 1))] for i in range(MOST_PANELS)]
    labels = labels.cpu()
    colors = class_colors(max(2, int(labels.max()) + 1))
    canvas = Canvas(GAP + (PANEL + GAP) * len(names), TOP + PANEL + 52)
    canvas.text(GAP, 14, title, size=14, anchor="lm")
    for column, name in enumerate(names):
        left, top = GAP + (PANEL + GAP) * column, TOP + 20
        box = (left, top, left + PANEL, top + PANEL)
        if not all(part.isfinite().all() for part in stages[name]):
            canvas.text(left + PANEL / 2, top + PANEL / 2, f"{name}: not finite")
            canvas.frame(box)
            continue
        grid, points, share = project(stages[name])
        extent = window(points, 0.12)
        sheet = Canvas(PANEL, PANEL)  # of its own, so that it cuts off what leaves the window
        inside = Axes(sheet, (0, 0, PANEL, PANEL), extent)
        for line in (*grid, *grid.transpose(0, 1)):
            inside.line(line, GRID_COLOR)
        for c, color in enumerate(colors):
            inside.dots(points[labels == c], 2.2, color)
        canvas.insert(sheet, left, top)
        axes = Axes(canvas, box, extent, name)
        shown = "" if share > 0.9995 else f"2 components, {share:.0%} of the variance"
        axes.finish(shown, "", ticks=False)
    return canvas.pixels()
