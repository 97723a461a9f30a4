"""A framed window into the plane on a canvas: ticks, labels, points, a legend and a colour bar."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gaplab.figures.canvas import GREY, Box, Canvas, Color, Extent, nice_ticks


class Axes:
    """Maps data coordinates into a box of a canvas.

    Args:
        canvas: What is drawn on.
        box: Where the window lies, in pixels.
        extent: What part of the plane it shows.
        title: A line above the window.
    """

    def __init__(self, canvas: Canvas, box: Box, extent: Extent, title: str = "") -> None:
        self.canvas, self.box, self.extent = canvas, box, extent
        if title:
            canvas.text((box[0] + box[2]) / 2, box[1] - 14, title, size=14)

    def finish(self, xlabel: str = "x1", ylabel: str = "x2", *, ticks: bool = True) -> None:
        """Draw the frame over what is in the window, then ticks and labels."""
        canvas, (left, top, right, bottom) = self.canvas, self.box
        canvas.frame(self.box)
        canvas.text((left + right) / 2, bottom + (32 if ticks else 16), xlabel)
        canvas.vertical_text(left - (44 if ticks else 14), (top + bottom) / 2, ylabel)
        if not ticks:
            return
        for value in nice_ticks(self.extent[0], self.extent[1]):
            x = float(self.to_pixels(torch.tensor([[value, self.extent[2]]]))[0, 0])
            canvas.line(torch.tensor([[x, bottom], [x, bottom + 4.0]]), GREY)
            canvas.text(x, bottom + 13, f"{value:.4g}", size=11)
        for value in nice_ticks(self.extent[2], self.extent[3]):
            y = float(self.to_pixels(torch.tensor([[self.extent[0], value]]))[0, 1])
            canvas.line(torch.tensor([[left - 4.0, y], [left, y]]), GREY)
            canvas.text(left - 7, y, f"{value:.4g}", size=11, anchor="rm")

    def to_pixels(self, points: Tensor) -> Tensor:
        """Return data points [P, 2] as pixels [P, 2]."""
        left, top, right, bottom = self.box
        x0, x1, y0, y1 = self.extent
        points = points.detach().cpu().double()
        x = left + (points[:, 0] - x0) / (x1 - x0) * (right - left)
        y = bottom - (points[:, 1] - y0) / (y1 - y0) * (bottom - top)
        return torch.stack((x, y), dim=1)

    def inside(self, points: Tensor) -> Tensor:
        """Return which of the points [P, 2] the window shows, bool [P]."""
        x0, x1, y0, y1 = self.extent
        x, y = points.detach().cpu().T
        return (x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)

    def dots(
        self,
        points: Tensor,
        radius: float,
        color: Color,
        *,
        edge: Color | None = None,
        filled: bool = True,
    ) -> None:
        shown = points.detach().cpu()
        self.canvas.dots(self.to_pixels(shown[self.inside(shown)]), radius, color, edge=edge, filled=filled)

    def line(self, points: Tensor, color: Color, *, width: float = 1.0) -> None:
        self.canvas.line(self.to_pixels(points), color, width=width)


def draw_legend(canvas: Canvas, x: int, y: int, entries: Sequence[tuple[str, Color, bool]]) -> None:
    """Draw a column of discs (or rings, where the last value is False) with their names."""
    for row, (name, color, filled) in enumerate(entries):
        centre = torch.tensor([[float(x), y + 20.0 * row]])
        canvas.dots(centre, 5, color, edge=None if filled else color, filled=filled)
        canvas.text(x + 12, y + 20 * row, name, size=12, anchor="lm")


def draw_colorbar(
    canvas: Canvas, box: Box, low: float, high: float, colors: Callable[[Tensor], Tensor], label: str
) -> None:
    """Draw a bar from ``low`` at the bottom to ``high``; ``colors`` maps [N] in [0, 1] to RGB [N, 3]."""
    left, top, right, bottom = box
    canvas.paste(colors(torch.linspace(1, 0, bottom - top))[:, None], box)
    canvas.frame(box)
    for value in nice_ticks(low, high, most=5):
        y = bottom - (value - low) / (high - low) * (bottom - top)
        canvas.line(torch.tensor([[float(right), y], [right + 4.0, y]]), GREY)
        canvas.text(right + 7, y, f"{value:.3g}", size=11, anchor="lm")
    canvas.text((left + right) / 2, top - 14, label, size=12)
