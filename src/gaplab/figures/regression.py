"""A fitted curve with its data, and predictions against the truth."""

import torch
from torch import Tensor

from gaplab.figures.axes import Axes, draw_legend
from gaplab.figures.canvas import BLACK, GREY, Canvas, Color, Extent
from gaplab.figures.palette import TEST, TRAIN, class_colors, hex_color

WIDTH, HEIGHT, BOX = 640, 440, (64, 36, 504, 384)
MARGIN = 0.05


def span(values: Tensor, margin: float = MARGIN) -> tuple[float, float]:
    """Return the smallest and the largest finite value, further apart by a share of their distance."""
    finite = values[values.isfinite()].double()
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    wider = margin * (high - low) or 0.5
    return low - wider, high + wider


def draw_fit(
    x: Tensor,
    curve: Tensor,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    mean: Tensor | None = None,
    title: str = "",
) -> Tensor:
    """A fitted function of one variable over its data.

    Args:
        x: Where the curve is drawn, [G], in order.
        curve: Its values [G].
        train: Points [P] and targets [P] that it was fitted to.
        test: Points [Q] and targets [Q] that it has not seen.
        mean: The function that the targets scatter around [G], if it is known.
        title: Heading.

    Returns:
        Pixels [H, W, 3] uint8.
    """
    extent: Extent = (*span(x), *span(torch.cat([train[1], test[1]])))
    canvas = Canvas(WIDTH, HEIGHT)
    axes = Axes(canvas, BOX, extent, title)
    axes.dots(torch.stack(test, dim=1), 1.0, hex_color(TEST))
    axes.dots(torch.stack(train, dim=1), 2.5, hex_color(TRAIN))
    lines = [("network", curve, BLACK)] + ([("mean of the law", mean, GREY)] if mean is not None else [])
    for _, values, color in reversed(lines):
        axes.line(_inside(torch.stack([x, values], dim=1), extent), color, width=2.0)
    axes.finish("x", "target")
    entries: list[tuple[str, Color, bool]] = [(name, color, True) for name, _, color in lines]
    entries += [("training points", hex_color(TRAIN), True), ("test points", hex_color(TEST), True)]
    draw_legend(canvas, BOX[2] + 20, BOX[1] + 12, entries)
    return canvas.pixels()


def draw_predictions(truth: Tensor, predicted: Tensor, *, title: str = "") -> Tensor:
    """Predictions [P, T] against true targets [P, T]; on the line they are right. A target has a colour."""
    low, high = span(torch.cat([truth, predicted]))
    diagonal = torch.tensor([[low, low], [high, high]])
    return _scatter(truth, predicted, (low, high, low, high), diagonal, ("true target", "prediction"), title)


def draw_residuals(truth: Tensor, predicted: Tensor, *, title: str = "") -> Tensor:
    """Residuals, target minus prediction, against predictions, both [P, T]; a pattern is what was not learned."""
    extent: Extent = (*span(predicted), *span(truth - predicted))
    level = torch.tensor([[extent[0], 0.0], [extent[1], 0.0]])
    return _scatter(predicted, truth - predicted, extent, level, ("prediction", "target - prediction"), title)


def _scatter(
    x: Tensor, y: Tensor, extent: Extent, line: Tensor, labels: tuple[str, str], title: str
) -> Tensor:
    canvas, colors = Canvas(WIDTH, HEIGHT), class_colors(x.shape[1])
    axes = Axes(canvas, BOX, extent, title)
    axes.line(_inside(line, extent), GREY)
    for target, color in enumerate(colors):
        axes.dots(torch.stack([x[:, target], y[:, target]], dim=1), 1.5, color)
    axes.finish(*labels)
    if len(colors) > 1:
        entries = [(f"target {number + 1}", color, True) for number, color in enumerate(colors)]
        draw_legend(canvas, BOX[2] + 20, BOX[1] + 12, entries)
    return canvas.pixels()


def _inside(points: Tensor, extent: Extent) -> Tensor:
    """Return points [P, 2] of a line, moved to the edge of the window where they are beyond it."""
    x = points[:, 0].clamp(extent[0], extent[1])
    return torch.stack([x, points[:, 1].nan_to_num(nan=extent[2]).clamp(extent[2], extent[3])], dim=1)
