"""Points and what an autoencoder makes of them."""

import torch
from torch import Tensor

from gaplab.figures.axes import Axes, draw_legend
from gaplab.figures.canvas import GREY, Canvas
from gaplab.figures.decision_regions import window
from gaplab.figures.palette import TEST, TRAIN, hex_color

WIDTH, HEIGHT, BOX = 600, 460, (64, 36, 444, 416)


def draw_reconstructions(points: Tensor, reconstructions: Tensor, *, title: str = "") -> Tensor:
    """Points [P, 2] as discs, their reconstructions [P, 2] as rings, and a line between the two.

    Returns:
        Pixels [H, W, 3] uint8. Reconstructions outside the window of the points are counted.
    """
    points, reconstructions = points.detach().cpu(), reconstructions.detach().cpu()
    canvas, extent = Canvas(WIDTH, HEIGHT), window(points)
    axes = Axes(canvas, BOX, extent, title)
    shown = axes.inside(reconstructions)
    for pair in torch.stack([points[shown], reconstructions[shown]], dim=1):
        axes.line(pair, GREY)
    axes.dots(points, 2.0, hex_color(TRAIN))
    axes.dots(reconstructions, 2.5, hex_color(TEST), edge=hex_color(TEST), filled=False)
    axes.finish()
    entries = [("points", hex_color(TRAIN), True), ("reconstructions", hex_color(TEST), False)]
    draw_legend(canvas, BOX[2] + 20, BOX[1] + 12, entries)
    outside = int((~shown).sum())
    if outside:
        canvas.text(BOX[2] + 20, BOX[1] + 60, f"{outside} outside", size=12, anchor="lm")
    return canvas.pixels()
