"""Decision regions of a classifier in the plane: a figure for reports and a fast raster for training time."""

from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from torch import Tensor

from gaplab.figures.palette import class_colors
from gaplab.figures.rendering import new_figure

Predict = Callable[[Tensor], Tensor]
"""Points [P, 2] to class probabilities [P, C]."""

Extent = tuple[float, float, float, float]
"""Left, right, bottom, top of a square window."""

FULL_CONFIDENCE_SHADE = 0.5
POINT_TONE = 0.75


def window(points: Tensor, margin: float = 0.08) -> Extent:
    """The square around the points [P, 2], wider by `margin` of its side on each side."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    half = float((high - low).max()) * (0.5 + margin) or 1.0
    x, y = ((low + high) / 2).tolist()
    return x - half, x + half, y - half, y + half


@torch.no_grad()
def probability_map(predict: Predict, extent: Extent, resolution: int, device: torch.device) -> Tensor:
    """Probabilities [R, R, C] at the centres of R × R pixels of the window; row 0 is its top."""
    left, right, bottom, top = extent
    centres = (torch.arange(resolution, device=device) + 0.5) / resolution
    y, x = torch.meshgrid(top + (bottom - top) * centres, left + (right - left) * centres, indexing="ij")
    return predict(torch.stack((x, y), dim=-1).view(-1, 2)).float().view(resolution, resolution, -1)


def shade(probabilities: Tensor, colors: Tensor) -> Tensor:
    """RGB [..., 3] of probabilities [..., C]: the winner's colour, paler towards a tie, white at p = 1/C.

    Where the probabilities are not finite, as after a divergence, the colour is grey.
    """
    confidence, winner = probabilities.max(dim=-1, keepdim=True)
    chance = 1 / probabilities.shape[-1]
    weight = FULL_CONFIDENCE_SHADE * (confidence - chance) / (1 - chance)
    return (1 - weight * (1 - colors[winner.squeeze(-1)])).nan_to_num(nan=0.5)


def raster_decision_regions(
    predict: Predict, points: Tensor, labels: Tensor, *, resolution: int = 128, extent: Extent | None = None
) -> Tensor:
    """Decision regions as pixels [R, R, 3] uint8, in milliseconds, for an image at every few training steps.

    Points are dots of 2 × 2 pixels in a darker tone of their class; misclassified ones are black.
    """
    extent = extent or window(points)
    image = probability_map(predict, extent, resolution, points.device)
    colors = torch.tensor(class_colors(image.shape[-1]), device=points.device)
    image = shade(image, colors)
    with torch.no_grad():
        wrong = predict(points).argmax(dim=1) != labels
    row, column, inside = _pixels(points, extent, resolution)
    for c, color in enumerate(colors):
        _stamp(image, row, column, inside & ~wrong & (labels == c), POINT_TONE * color)
    _stamp(image, row, column, inside & wrong, torch.zeros_like(colors[0]))  # last, to stay visible
    return (255 * image).round().to(torch.uint8)


def draw_decision_regions(
    predict: Predict,
    points: Tensor,
    labels: Tensor,
    *,
    title: str = "",
    resolution: int = 300,
    extent: Extent | None = None,
) -> Figure:
    """Regions shaded by confidence, boundaries, the data, and rings around misclassified points.

    Args:
        predict: points [P, 2] to probabilities [P, C]; in eval mode, on the device of `points`.
        points: data [P, 2].
        labels: true classes [P].
        title: heading; the number of mistakes stands in the legend.
        resolution: pixels on each side of the region map.
        extent: left, right, bottom, top; by default a square around the points.
    """
    left, right, bottom, top = extent = extent or window(points)
    probabilities = probability_map(predict, extent, resolution, points.device)
    with torch.no_grad():
        wrong = (predict(points).argmax(dim=1) != labels).cpu()
    colors = class_colors(probabilities.shape[-1])
    regions = shade(probabilities, torch.tensor(colors, device=points.device)).cpu()
    points, labels = points.cpu(), labels.cpu()

    # Constrained layout would cut the legend beside axes of equal aspect.
    figure = new_figure(7.6, 6.0, layout=None)
    axes = figure.add_axes((0.09, 0.09, 0.67, 0.85))
    axes.imshow(regions.clamp(0, 1).numpy(), extent=extent, interpolation="bilinear", aspect="equal")
    _draw_boundaries(axes, probabilities.cpu(), extent)
    size = min(28.0, max(8.0, 9000 / max(len(points), 1)))
    edge = 0.4 if len(points) <= 1000 else 0.0
    for c, color in enumerate(colors):
        x, y = points[labels == c].T.numpy()
        axes.scatter(
            x, y, s=size, color=_darker(color), edgecolors="white", linewidths=edge, label=f"class {c}"
        )
    x, y = points[wrong].T.numpy()
    label = f"wrong: {int(wrong.sum())} of {len(points)}"
    axes.scatter(x, y, s=size + 16, facecolors="none", edgecolors="black", linewidths=0.9, label=label)
    axes.set(title=title, xlabel="$x_1$", ylabel="$x_2$", xlim=(left, right), ylim=(bottom, top))
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, handletextpad=0.2)
    for handle in legend.legend_handles:
        assert isinstance(handle, PathCollection)
        handle.set_sizes([40.0])
    return figure


def _draw_boundaries(axes: Axes, probabilities: Tensor, extent: Extent) -> None:
    """Thin lines where the two most probable classes tie."""
    for c in range(probabilities.shape[-1]):
        others = probabilities.clone()
        others[..., c] = -1.0
        lead = probabilities[..., c] - others.amax(dim=-1)
        if lead.amin() < 0 < lead.amax():
            axes.contour(
                lead.numpy(), levels=[0.0], extent=extent, origin="upper", colors="0.3", linewidths=0.6
            )


def _darker(color: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = color
    return POINT_TONE * red, POINT_TONE * green, POINT_TONE * blue


def _pixels(points: Tensor, extent: Extent, resolution: int) -> tuple[Tensor, Tensor, Tensor]:
    """Row and column [P] of each point, and whether it lies inside the window."""
    left, right, bottom, top = extent
    row = ((top - points[:, 1]) / (top - bottom) * resolution).floor().long()
    column = ((points[:, 0] - left) / (right - left) * resolution).floor().long()
    return row, column, (row >= 0) & (row < resolution) & (column >= 0) & (column < resolution)


def _stamp(image: Tensor, row: Tensor, column: Tensor, chosen: Tensor, color: Tensor) -> None:
    """Paint dots of 2 × 2 pixels, all in one colour because the order of repeated indices is undefined."""
    last = image.shape[0] - 1
    row, column = row[chosen], column[chosen]
    for down in (0, 1):
        for right in (0, 1):
            image[(row + down).clamp(max=last), (column + right).clamp(max=last)] = color
