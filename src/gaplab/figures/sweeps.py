"""What a sweep found against one of its settings, with intervals over seeds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaplab.figures.palette import OKABE_ITO
from gaplab.figures.rendering import new_figure

COLORS = (*OKABE_ITO[:6], "#000000", "#7f7f7f")
MARKERS = "osD^vPX*"
FAR_ABOVE = 4.0
SPAN = 20.0
"""An axis is logarithmic where its largest value is so many times its smallest, and for learning rates."""


class Point(NamedTuple):
    """Mean over some runs with half the width of its 95 % interval, NaN for a single run."""

    x: float | str
    mean: float
    half_width: float
    values: Sequence[float]
    """Of every run; they are shown beside the mean, as an interval over few says little."""


class Line(NamedTuple):
    """The points of the runs that agree in every other setting."""

    label: str
    points: Sequence[Point]


class Against(NamedTuple):
    """One pair of axes."""

    quantity: str
    lines: Sequence[Line]
    scale: Sequence[tuple[float, float]] = ()
    """√(N/m) at values of the setting: a heuristic scale, no bound."""


def draw_against(setting: str, panels: Sequence[Against]) -> Figure:
    """Draw quantities of a sweep against a setting: numbers on an axis, words side by side.

    Args:
        setting: Key of the setting.
        panels: What is drawn, from left to right. A scale far above the points is only named, so that they stay
            readable.
    """
    crowded = max(len(panel.lines) for panel in panels) > 1
    figure = new_figure(5.2 * len(panels) + 0.6, 4.2 + 0.6 * crowded)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw(axes, setting, panel)
    counts = sorted({len(point.values) for panel in panels for line in panel.lines for point in line.points})
    runs = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    text = (
        f"mean and 95 % t-interval over {runs} run{'s' * (runs != '1')} a point; small dots are single runs"
    )
    figure.suptitle(text if runs != "1" else "one run a point", fontsize=11)
    return figure


def _draw(axes: Axes, setting: str, panel: Against) -> None:
    for index, line in enumerate(panel.lines):
        points = list(line.points)
        numeric = not any(isinstance(point.x, str) for point in points)
        points.sort(key=lambda point: point.x if numeric else 0)
        axes.errorbar(
            [point.x for point in points],  # Matplotlib places words itself
            [point.mean for point in points],
            yerr=[point.half_width for point in points],
            fmt=f"{MARKERS[index % len(MARKERS)]}-" if numeric else MARKERS[index % len(MARKERS)],
            capsize=3,
            color=COLORS[index % len(COLORS)],
            label=line.label,
        )
        dots = [(point.x, value) for point in points if len(point.values) > 1 for value in point.values]
        if dots:
            places: Any = np.array([place for place, _ in dots])  # of lists Matplotlib looks at every number
            values = np.array([value for _, value in dots])
            axes.scatter(places, values, s=9, color=COLORS[index % len(COLORS)], alpha=0.5)
    x = [point.x for line in panel.lines for point in line.points if not isinstance(point.x, str)]
    rate = setting.rpartition(".")[2] == "lr"
    if x and min(x) > 0 and (rate or max(x) / min(x) >= SPAN):
        axes.set_xscale("log")
    if panel.scale:
        top = max(abs(point.mean) for line in panel.lines for point in line.points)
        far = max(height for _, height in panel.scale) > FAR_ABOVE * top
        low, high = min(h for _, h in panel.scale), max(h for _, h in panel.scale)
        label = f"√(N/m), heuristic scale: {low:.3g} to {high:.3g}" + (" (far above)" if far else "")
        shown = [] if far else sorted(panel.scale)
        axes.plot([a for a, _ in shown], [b for _, b in shown], color="0.4", linestyle="--", label=label)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(xlabel=setting, ylabel=panel.quantity)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.lines) > 1 or panel.scale:
        axes.legend(frameon=False, fontsize=8)
