"""What a sweep found against one of its settings, with intervals over seeds."""

import math
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


MOST_VECTORS = 2_000
"""Dots of more runs than this are pixels, also in a figure of vectors."""


class Point(NamedTuple):
    """Mean over some runs with half the width of its 95 % interval, NaN for few runs."""

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
    span: tuple[float, float] = (-math.inf, math.inf)
    """The least and the greatest value that the quantity can have: no interval leaves it."""


def draw_against(setting: str, panel: Against) -> Figure:
    """Draw a quantity of a sweep against a setting: numbers on an axis, words side by side.

    Args:
        setting: Key of the setting; empty where the runs differ in their seeds only.
        panel: What is drawn. A scale far above the points is only named, so that they stay readable.
    """
    figure = new_figure(4.2, 3.6 + 0.6 * (len(panel.lines) > 1))
    _draw(figure.subplots(), setting, panel)
    counts = sorted({len(point.values) for line in panel.lines for point in line.points})
    runs = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    spread = any(line.half_width == line.half_width for drawn in panel.lines for line in drawn.points)
    interval = ", 95 % interval," if spread else ""
    figure.suptitle(
        "one run a point" if runs == "1" else f"mean of {runs} runs{interval} and every run", fontsize=9
    )
    return figure


def _draw(axes: Axes, setting: str, panel: Against) -> None:
    for index, line in enumerate(panel.lines):
        points = list(line.points)
        numeric = not any(isinstance(point.x, str) for point in points)
        points.sort(key=lambda point: point.x if numeric else 0)
        axes.errorbar(
            [point.x for point in points],  # Matplotlib places words itself
            [point.mean for point in points],
            yerr=[
                [min(point.half_width, point.mean - panel.span[0]) for point in points],
                [min(point.half_width, panel.span[1] - point.mean) for point in points],
            ],
            fmt=f"{MARKERS[index % len(MARKERS)]}-" if numeric else MARKERS[index % len(MARKERS)],
            capsize=3,
            zorder=3,
            color=COLORS[index % len(COLORS)],
            label=line.label,
        )
        dots = [(point.x, value) for point in points if len(point.values) > 1 for value in point.values]
        if dots:
            places: Any = np.array([place for place, _ in dots])  # of lists Matplotlib looks at every number
            values = np.array([value for _, value in dots])
            color = COLORS[index % len(COLORS)]
            axes.scatter(
                places, values, s=9, color=color, alpha=0.3, zorder=1, rasterized=len(dots) > MOST_VECTORS
            )
    x = [point.x for line in panel.lines for point in line.points if not isinstance(point.x, str)]
    rate = setting.rpartition(".")[2] == "lr"
    if x and min(x) > 0 and (rate or max(x) / min(x) >= SPAN):
        axes.set_xscale("log")
    if panel.scale:
        top = max(abs(point.mean) for line in panel.lines for point in line.points)
        far = max(height for _, height in panel.scale) > FAR_ABOVE * top
        low, high = min(h for _, h in panel.scale), max(h for _, h in panel.scale)
        heights = " to ".join(dict.fromkeys((f"{low:.3g}", f"{high:.3g}")))
        label = f"√(N/m), heuristic scale: {heights}" + (" (far above)" if far else "")
        shown = [] if far else sorted(panel.scale)
        axes.plot([a for a, _ in shown], [b for _, b in shown], color="0.4", linestyle="--", label=label)
    if not setting:
        axes.set_xlim(-1, 1)
        axes.set_xticks([0], ["all runs"])
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(xlabel=setting or "runs with different seeds", ylabel=panel.quantity)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.lines) > 1 or panel.scale:
        axes.legend(frameon=False, fontsize=8)
