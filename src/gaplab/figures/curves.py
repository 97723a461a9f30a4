"""Curves over optimiser steps."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from gaplab.figures.palette import GAP, TEST, TRAIN, VAL
from gaplab.figures.rendering import new_figure

FAR_ABOVE = 4.0
UNEVEN = 4.0
"""Steps whose widest distance is so many times their narrowest get a logarithmic axis."""
STYLES = {"train": (TRAIN, "-"), "val": (VAL, "--"), "test": (TEST, "-")}


def draw_gap_curves(
    steps: Sequence[float],
    splits: Mapping[str, Sequence[float]],
    gap: Sequence[float],
    half_widths: Sequence[float] | None = None,
    scale: float | None = None,
    *,
    quantity: str = "loss",
    title: str = "",
) -> Figure:
    """Values on each split above, the gap with its 95 % interval below.

    Args:
        steps: optimiser steps [S] at which the values were measured.
        splits: values [S] on ``train``, ``test`` and perhaps ``val``, all at equal weights.
        gap: how much worse the value on test is [S].
        half_widths: half the widths [S] of the 95 % intervals of the gap.
        scale: √(N/m), drawn dashed as a heuristic scale. It is no bound. Where it lies more than four times
            above the largest gap it is only named in the legend, so that the gap stays readable.
        quantity: the name of the values.
        title: heading of the figure.
    """
    figure = new_figure(7.2, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for name, (color, style) in STYLES.items():
        if name in splits:
            upper.plot(steps, splits[name], color=color, linestyle=style, label=name)
    upper.set(ylabel=quantity, title=title)

    lower.axhline(0, color="0.6", linewidth=0.8)
    lower.plot(steps, gap, color=GAP, label=f"gap (last: {gap[-1]:+.4f})")
    if half_widths is not None:
        ends = [[g + side * width for g, width in zip(gap, half_widths, strict=True)] for side in (-1, 1)]
        lower.fill_between(steps, *ends, color=GAP, alpha=0.15, linewidth=0, label="95 % interval")
    if scale is not None:
        above = scale > FAR_ABOVE * max(map(abs, gap))
        label = rf"$\sqrt{{N/m}}$ = {scale:.3g}, heuristic scale" + (" (far above)" if above else "")
        height = [] if above else [scale] * len(steps)
        lower.plot(steps[: len(height)], height, color="0.4", linestyle="--", label=label)
    lower.set(xlabel="optimiser step", ylabel=f"gap in {quantity}")
    distances = [end - begin for begin, end in pairwise(steps)]
    if distances and max(distances) > UNEVEN * min(distances):
        lower.set_xscale("symlog", linthresh=max(distances[0], 1e-9))
    for axes in (upper, lower):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure
