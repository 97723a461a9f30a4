"""Figures that compare conditions over several seeds: curves with bands, dots, regions side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from gaplab.figures.decision_regions import POINT_TONE, Predict, probability_map, shade, window
from gaplab.figures.palette import OKABE_ITO, class_colors
from gaplab.figures.rendering import new_figure

COLORS = (*OKABE_ITO[:6], "#000000")
MARKERS = "osD^vPX"
MOST_TICKS, MOST_INSIDE = 8, 5
"""Up to so many x each gets a tick on a logarithmic axis; more curves have their legend beside the axes."""


class Curve(NamedTuple):
    """Values [S][X], a row a seed, over x [X]; drawn as their mean with a band from least to greatest."""

    label: str
    x: Sequence[float]
    values: Sequence[Sequence[float]]
    dashed: bool = False
    color: str = ""
    """That of a split; others have one each, in their order."""


class Panel(NamedTuple):
    """The curves of one pair of axes."""

    curves: Sequence[Curve]
    xlabel: str
    ylabel: str
    title: str = ""
    log: str = ""
    """The axes with a logarithmic scale: "", "x", "y" or "xy"."""
    lines: Sequence[tuple[str, float]] = ()
    """Horizontal reference lines with their names."""
    marks: Sequence[tuple[str, float]] = ()
    """Vertical reference lines with their names."""
    limits: tuple[float, float] | None = None
    """Range of the vertical axis."""


def draw_panels(panels: Sequence[Panel], *, columns: int = 2) -> Figure:
    """Curves in a row (or several) of axes."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    beside = any(len(panel.curves) > MOST_INSIDE for panel in panels)
    figure = new_figure(5.4 * columns if columns > 1 else 6.6 + 2.4 * beside, 4.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _draw_panel(axes, panel)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for index, curve in enumerate(panel.curves):
        color = curve.color or COLORS[index % len(COLORS)]
        values = torch.tensor(curve.values, dtype=torch.float64)
        few = len(curve.x) <= 25
        axes.plot(
            curve.x,
            values.mean(dim=0).tolist(),
            color=color,
            linestyle="--" if curve.dashed else "-",
            marker=MARKERS[index % len(MARKERS)] if few and not curve.dashed else None,
            markersize=4,
            label=curve.label,
        )
        if len(values) > 1:
            low, high = values.amin(dim=0).tolist(), values.amax(dim=0).tolist()
            axes.fill_between(curve.x, low, high, color=color, alpha=0.18, linewidth=0)
    if "x" in panel.log:
        axes.set_xscale("log")
        x = panel.curves[0].x
        if len(x) <= MOST_TICKS:
            axes.set_xticks(x, labels=[f"{value:g}" for value in x])
            axes.set_xticks([], minor=True)
    elif all(isinstance(value, int) for curve in panel.curves for value in curve.x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if "y" in panel.log:
        axes.set_yscale("log")
    for (label, height), style in zip(panel.lines, (":", "-.", (0, (1, 3))), strict=False):
        axes.axhline(height, color="0.35", linestyle=style, linewidth=1.2, label=label)
    for (label, place), style in zip(panel.marks, (":", "-."), strict=False):
        axes.axvline(place, color="0.35", linestyle=style, linewidth=1.2, label=label)
    axes.set(xlabel=panel.xlabel, ylabel=panel.ylabel, title=panel.title)
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
    _tidy(axes)
    if len(panel.curves) > MOST_INSIDE:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    else:
        axes.legend(frameon=False, fontsize=8)


def draw_dots(
    names: Sequence[str], series: dict[str, Sequence[Sequence[float]]], *, xlabel: str, title: str = ""
) -> Figure:
    """One line a name, one dot a seed: ``series[label][name][seed]``."""
    figure = new_figure(6.4 + 0.055 * max(map(len, names)), 1.4 + 0.32 * len(names))
    axes = figure.add_subplot()
    shift = 0.22 if len(series) > 1 else 0.0
    for index, (label, values) in enumerate(series.items()):
        offset = shift * (index - (len(series) - 1) / 2)
        x = [value for group in values for value in group]
        y = [row + offset for row, group in enumerate(values) for _ in group]
        color = COLORS[index]
        axes.scatter(x, y, s=22, color=color, marker=MARKERS[index], alpha=0.75, label=label, linewidths=0)
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel=xlabel, title=title)
    axes.invert_yaxis()
    _tidy(axes)
    if len(series) > 1:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_region_panels(
    panels: Sequence[tuple[str, Predict]], points: Tensor, labels: Tensor, *, resolution: int = 200
) -> Figure:
    """Decision regions of several classifiers over the same points [P, 2]; rings mark mistakes."""
    extent = window(points)
    figure = new_figure(3.7 * len(panels), 3.9)
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    size = min(90.0, max(11.0, 1500 / len(points)))
    for axes, (title, predict) in zip(grid, panels, strict=True):
        probabilities = probability_map(predict, extent, resolution, points.device)
        colors = class_colors(probabilities.shape[-1])
        regions = shade(probabilities, torch.tensor(colors)).clamp(0, 1).numpy()
        axes.imshow(regions, extent=extent, interpolation="bilinear", aspect="equal")
        with torch.no_grad():
            wrong = predict(points).argmax(dim=1) != labels
        for c, color in enumerate(colors):
            x, y = points[labels == c].T.numpy()
            tone = tuple(POINT_TONE * part for part in color)
            axes.scatter(x, y, s=size, color=tone, edgecolors="white", linewidths=0.3)
        x, y = points[wrong].T.numpy()
        axes.scatter(x, y, s=size + 15, facecolors="none", edgecolors="black", linewidths=0.9)
        axes.set(title=f"{title}\nwrong here: {int(wrong.sum())} of {len(points)}", xlabel="$x_1$")
        axes.set(xlim=extent[:2], ylim=extent[2:])
    grid[0].set_ylabel("$x_2$")
    return figure


def _tidy(axes: Axes) -> None:
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
