"""The gap over optimiser steps, cheap enough to be drawn at the end of every run."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gaplab.figures.axes import Axes
from gaplab.figures.canvas import BLACK, GREY, Canvas, nice_ticks

WIDTH, HEIGHT = 500, 360
BOX = (70, 36, 480, 300)
BAND = (0.85, 0.85, 0.85)
LEFT_OF_FIRST = 0.4
"""How many decades before the first step after it step 0 stands."""


def draw_gap_over_steps(
    steps: Sequence[int], gap: Sequence[float], half_widths: Sequence[float] | None, *, quantity: str
) -> Tensor:
    """Draw a gap with its 95 % interval on a logarithmic axis of steps, as pixels [H, W, 3] uint8.

    Args:
        steps: Optimiser steps [S], rising.
        gap: How much worse the value on test is [S].
        half_widths: Half the widths of the intervals [S].
        quantity: What the gap is in.
    """
    widths = half_widths or [0.0] * len(gap)
    low = [g - width for g, width in zip(gap, widths, strict=True)]
    high = [g + width for g, width in zip(gap, widths, strict=True)]
    first = min((step for step in steps if step > 0), default=1)

    def place(step: int) -> float:
        return math.log10(step) if step > 0 else math.log10(first) - LEFT_OF_FIRST

    x = [place(step) for step in steps]
    bottom, top = min(0.0, *low), max(0.0, *high)
    room = 0.05 * ((top - bottom) or 1.0)
    extent = (x[0] - 0.05, max(x[-1], x[0] + 0.1) + 0.05, bottom - room, top + room)
    canvas = Canvas(WIDTH, HEIGHT)
    band = " with its 95 % interval" if half_widths else ""
    axes = Axes(canvas, BOX, extent, f"Generalization gap in {quantity}{band}")

    def path(values: Sequence[float]) -> Tensor:
        return torch.tensor([x, list(values)], dtype=torch.float64).T

    if half_widths:
        canvas.polygon(axes.to_pixels(torch.cat((path(low), path(high).flip(0)))), BAND)
    axes.line(torch.tensor([[extent[0], 0.0], [extent[1], 0.0]]), GREY)
    axes.line(path(gap), BLACK, width=2)
    axes.dots(path(gap), 3, BLACK)
    axes.finish("", "", ticks=False)
    powers = [10**n for n in range(math.ceil(math.log10(first)), math.floor(x[-1] + 1e-9) + 1)]
    for step in sorted({*([0] if steps[0] == 0 else []), *powers} or {steps[0], steps[-1]}):
        across = float(axes.to_pixels(torch.tensor([[place(step), 0.0]]))[0, 0])
        canvas.text(across, BOX[3] + 14, str(step), size=11)
    for value in nice_ticks(extent[2], extent[3]):
        down = float(axes.to_pixels(torch.tensor([[0.0, value]]))[0, 1])
        canvas.text(BOX[0] - 7, down, f"{value:.4g}", size=11, anchor="rm")
    canvas.text((BOX[0] + BOX[2]) / 2, BOX[3] + 36, "optimiser step")
    canvas.vertical_text(18, (BOX[1] + BOX[3]) / 2, "gap")
    return canvas.pixels()
