"""Paired differences of many settings beside each other."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from gaplab.figures.palette import OKABE_ITO

LINEAR = 0.01
"""Differences up to here are drawn to scale, larger ones by their logarithm."""


class Interval(Protocol):
    """A mean with half the width of its 95 % interval."""

    @property
    def mean(self) -> float: ...
    @property
    def half(self) -> float: ...


def draw_interventions(
    differences: Mapping[tuple[str, str], Mapping[str, Interval]],
    levels: Sequence[str],
    level_key: str,
    quantities: Sequence[str],
) -> Figure:
    """Draw a row a setting and a panel a quantity, the levels in colours; a line parts one key from the next.

    Beyond ± ``LINEAR`` the scale is logarithmic, so that large differences leave room for small ones.

    Args:
        differences: By level and name of the setting, then by quantity.
        levels: In the order of the legend.
        level_key: What the levels are of.
        quantities: One a panel.
    """
    names = list(dict.fromkeys(name for _, name in differences))
    places = np.arange(len(names))[::-1]
    figure = Figure(figsize=(9.6, 0.17 * len(names) + 1.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(quantities), sharey=True))
    keys = [name.partition("=")[0] for name in names]
    for axes, quantity in zip(panels, quantities, strict=True):
        for number, level in enumerate(levels):
            rows = [row for row, name in enumerate(names) if (level, name) in differences]
            found = [differences[level, names[row]][quantity] for row in rows]
            axes.errorbar(
                [one.mean for one in found],
                places[rows] - 0.25 * (number - (len(levels) - 1) / 2),
                xerr=[one.half for one in found],
                fmt="o",
                markersize=2.5,
                elinewidth=0.8,
                color=OKABE_ITO[number % len(OKABE_ITO)],
                label=f"{level_key} {level}",
            )
        axes.axvline(0, color="0.6", linewidth=0.8)
        for row in range(1, len(names)):
            if keys[row] != keys[row - 1]:
                axes.axhline(places[row] + 0.5, color="0.85", linewidth=0.6)
        axes.set_xscale("symlog", linthresh=LINEAR, linscale=1.5)
        axes.set_xticks([-0.1, -0.01, 0, 0.01, 0.1], ["−0.1", "−0.01", "0", "0.01", "0.1"])
        axes.set_xlabel(f"{quantity}, setting − twin")
        axes.set_ylim(-0.7, len(names) - 0.3)
        axes.tick_params(axis="x", labelsize=7)
    panels[0].set_yticks(places, names, fontsize=6)
    if len(levels) > 1:
        panels[0].legend(
            fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(levels), frameon=False
        )
    return figure
