"""What a run measured and what theory promises, on one logarithmic axis."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from gaplab.figures.palette import PURPLE
from gaplab.figures.rendering import new_figure

FLOOR = 0.5
"""Where values of zero or less stand: at so many times the smallest positive one."""


class Mark(NamedTuple):
    """A value on its own line of the figure."""

    label: str
    value: float
    color: str = PURPLE
    half_width: float = 0.0
    """Half the width of its 95 % interval."""
    vacuous: bool = False
    """Whether it is a bound that says nothing, which is drawn hollow."""


def draw_gap_and_bounds(marks: Sequence[Mark], guessing: float | None = None) -> Figure:
    """Draw values from top to bottom; the error of guessing is a dashed line.

    A value that is zero or negative has no place on a logarithmic axis: it stands at the left edge, with
    its number beside it like the others.

    Args:
        marks: Errors, the gap, and bounds, in this order.
        guessing: The error of guessing among equal classes.
    """
    positive = [part for mark in marks for part in (mark.value, mark.half_width) if part > 0]
    edge = FLOOR * min(positive, default=1e-3)
    figure = new_figure(7.2, 0.42 * len(marks) + 1.3)
    axes = figure.subplots()
    axes.set_xscale("log")
    for place, mark in enumerate(marks):
        x, low, high = (max(mark.value + side * mark.half_width, edge) for side in (0, -1, 1))
        face = "white" if mark.vacuous or mark.value <= 0 else mark.color
        axes.plot([low, high], [place, place], color=mark.color, linewidth=2)
        axes.plot([x], [place], "o", color=mark.color, markerfacecolor=face, markersize=8)
        text = f"{mark.value:.3g}" + (" (vacuous)" if mark.vacuous else "")
        leftwards = mark.vacuous  # it is the largest value, near the right edge
        axes.annotate(
            text,
            (low if leftwards else high, place),
            (-9 if leftwards else 9, 0),
            textcoords="offset points",
            ha="right" if leftwards else "left",
            va="center",
            fontsize=8,
        )
    if guessing is not None:
        axes.axvline(guessing, color="0.4", linestyle="--", linewidth=1)
        axes.annotate(
            "guessing", (guessing, -0.7), (4, 0), textcoords="offset points", fontsize=8, color="0.3"
        )
    axes.set_yticks(range(len(marks)), [mark.label for mark in marks])
    axes.set_ylim(len(marks) - 0.4, -1.0)
    highest = max([edge, *(mark.value + mark.half_width for mark in marks)])
    axes.set_xlim(0.8 * edge, 4 * highest)
    axes.set_xlabel("0-1 error, gap, or bound (logarithmic); lines are 95 % intervals")
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
