"""Where in the plane a classifier decides for which class, how sure it is, and which points it gets wrong."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gaplab.figures.axes import Axes, draw_colorbar, draw_legend
from gaplab.figures.canvas import BLACK, WHITE, Canvas, Color, Extent
from gaplab.figures.palette import class_colors, ramp

Predict = Callable[[Tensor], Tensor]
"""Points [P, 2] to class probabilities [P, C]."""

FULL_CONFIDENCE_SHADE = 0.5
POINT_TONE = 0.75
BOUNDARY_TONE = 0.35
WIDTH, HEIGHT, BOX = 580, 460, (64, 36, 444, 416)
SIDE = BOX[2] - BOX[0]


def window(points: Tensor, margin: float = 0.08) -> Extent:
    """The square around the points [P, 2], wider by ``margin`` of its side on each side."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    half = float((high - low).max()) * (0.5 + margin) or 1.0
    x, y = ((low + high) / 2).tolist()
    return x - half, x + half, y - half, y + half


def grid_points(extent: Extent, resolution: int, device: torch.device) -> Tensor:
    """Centres [R, R, 2] of R × R pixels of the window; row 0 is its top."""
    left, right, bottom, top = extent
    centres = (torch.arange(resolution, device=device) + 0.5) / resolution
    y, x = torch.meshgrid(top + (bottom - top) * centres, left + (right - left) * centres, indexing="ij")
    return torch.stack((x, y), dim=-1)


@torch.no_grad()
def probability_map(predict: Predict, extent: Extent, resolution: int, device: torch.device) -> Tensor:
    """Probabilities [R, R, C] at the centres of R × R pixels of the window; row 0 is its top."""
    points = grid_points(extent, resolution, device)
    return predict(points.view(-1, 2)).float().view(resolution, resolution, -1)


def shade(probabilities: Tensor, colors: Tensor, strength: float = FULL_CONFIDENCE_SHADE) -> Tensor:
    """RGB [..., 3] of probabilities [..., C]: the winner's colour, paler towards a tie, white at p = 1/C.

    Where the probabilities are not finite, as after a divergence, the colour is grey.
    """
    confidence, winner = probabilities.max(dim=-1, keepdim=True)
    chance = 1 / probabilities.shape[-1]
    weight = strength * (confidence - chance) / (1 - chance)
    return (1 - weight * (1 - colors[winner.squeeze(-1)])).nan_to_num(nan=0.5)


def boundary_pixels(winners: Tensor) -> Tensor:
    """Which pixels [R, R] have another winner than the neighbour to the right or below."""
    edge = torch.zeros_like(winners, dtype=torch.bool)
    edge[:, :-1] |= winners[:, :-1] != winners[:, 1:]
    edge[:-1] |= winners[:-1] != winners[1:]
    return edge


def draw_decision_regions(
    predict: Predict,
    points: Tensor,
    labels: Tensor,
    *,
    title: str = "",
    resolution: int = 120,
    extent: Extent | None = None,
) -> Tensor:
    """Regions shaded by confidence, boundaries, the data, and rings around misclassified points.

    Args:
        predict: points [P, 2] to probabilities [P, C]; in eval mode, on the device of ``points``.
        points: data [P, 2].
        labels: true classes [P].
        title: heading; the number of mistakes stands in the legend.
        resolution: pixels on each side of the map, which is interpolated to the size of the picture.
        extent: left, right, bottom, top; by default a square around the points.

    Returns:
        Pixels [H, W, 3] uint8.
    """
    canvas, axes, colors = _draw_map(predict, points, extent, resolution, title, FULL_CONFIDENCE_SHADE)
    wrong = _mistakes(predict, points, labels)
    labels = labels.cpu()
    radius = min(3.6, max(2.4, 60 / max(len(points), 1) ** 0.5))
    for c, color in enumerate(colors):
        axes.dots(points[labels == c], radius, _darker(color), edge=WHITE if len(points) <= 1000 else None)
    axes.dots(points[wrong], radius + 1.6, BLACK, edge=BLACK, filled=False)
    axes.finish()
    entries = [(f"class {c}", _darker(color), True) for c, color in enumerate(colors[:12])]
    wrongs = (f"wrong: {int(wrong.sum())}", BLACK, False)
    draw_legend(canvas, BOX[2] + 20, BOX[1] + 12, [*entries, wrongs])
    canvas.text(
        BOX[2] + 32, BOX[1] + 12 + 20 * len(entries) + 18, f"of {len(points):,}", size=12, anchor="lm"
    )
    return canvas.pixels()


def draw_mistakes(
    predict: Predict,
    points: Tensor,
    labels: Tensor,
    num_points: int,
    *,
    extent: Extent,
    title: str = "",
    most: int = 600,
) -> Tensor:
    """Misclassified points [P, 2] in the colours of their true classes [P], over pale regions.

    Args:
        predict, extent, title: As for ``draw_decision_regions``, which also says what is returned.
        points, labels: The misclassified points only.
        num_points: Of how many points they are the misclassified ones.
        most: Where there are more, every k-th is drawn.
    """
    canvas, axes, colors = _draw_map(predict, points, extent, 120, title, 0.25)
    stride = max(1, -(-len(points) // most))
    shown, shown_labels = points[::stride], labels[::stride].cpu()
    for c, color in enumerate(colors):
        axes.dots(shown[shown_labels == c], 2.6, _darker(color))
    axes.finish()
    x, y = BOX[2] + 20, BOX[1] + 12
    canvas.text(x - 6, y, "true class", size=12, anchor="lm")
    draw_legend(canvas, x, y + 22, [(str(c), _darker(color), True) for c, color in enumerate(colors[:12])])
    lines = [f"wrong: {len(points):,}", f"of {num_points:,}", f"({len(points) / num_points:.2%})"]
    if stride > 1:
        lines.append(f"1 in {stride} shown")
    for row, line in enumerate(lines):
        canvas.text(x - 6, y + 20 * len(colors[:12]) + 44 + 18 * row, line, size=12, anchor="lm")
    return canvas.pixels()


def draw_confidence(predict: Predict, points: Tensor, *, title: str = "", resolution: int = 120) -> Tensor:
    """The probability of the most probable class over the window of the points, as pixels [H, W, 3] uint8."""
    extent = window(points)
    probabilities = probability_map(predict, extent, resolution, points.device).cpu()
    chance = 1 / probabilities.shape[-1]
    confidence = _enlarge(probabilities).amax(dim=-1)
    canvas = Canvas(WIDTH, HEIGHT)
    axes = Axes(canvas, BOX, extent, title)
    canvas.paste(ramp((confidence - chance) / (1 - chance)), BOX)
    axes.finish()
    bar = (BOX[2] + 28, BOX[1] + 40, BOX[2] + 46, BOX[3] - 40)
    draw_colorbar(canvas, bar, chance, 1.0, ramp, "probability")
    return canvas.pixels()


def _draw_map(
    predict: Predict, points: Tensor, extent: Extent | None, resolution: int, title: str, strength: float
) -> tuple[Canvas, Axes, list[Color]]:
    extent = extent or window(points)
    probabilities = _enlarge(probability_map(predict, extent, resolution, points.device).cpu())
    colors = class_colors(probabilities.shape[-1])
    image = shade(probabilities, torch.tensor(colors), strength)
    image[boundary_pixels(probabilities.argmax(dim=-1))] = BOUNDARY_TONE
    canvas = Canvas(WIDTH, HEIGHT)
    axes = Axes(canvas, BOX, extent, title)
    canvas.paste(image, BOX, smooth=True)
    return canvas, axes, colors


def _enlarge(values: Tensor) -> Tensor:
    """Interpolate a map [R, R, C] to the pixels of the window."""
    return interpolate(values.permute(2, 0, 1)[None], size=(SIDE, SIDE), mode="bilinear")[0].permute(1, 2, 0)


@torch.no_grad()
def _mistakes(predict: Predict, points: Tensor, labels: Tensor) -> Tensor:
    return predict(points).argmax(dim=1).to(labels.device) != labels


def _darker(color: Color) -> Color:
    red, green, blue = color
    return POINT_TONE * red, POINT_TONE * green, POINT_TONE * blue
