"""Curves over optimiser steps."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gaplab.figures.palette import TEST, TRAIN, VAL
from gaplab.figures.rendering import new_figure

FAR_ABOVE = 4.0


def draw_gap_curves(
    steps: Sequence[float],
    train: Sequence[float],
    val: Sequence[float] | None,
    test: Sequence[float],
    scale: float | None = None,
    *,
    quantity: str = "loss",
    title: str = "",
) -> Figure:
    """Values on each split above, the gap (test − train) below.

    Args:
        steps: optimiser steps [S] at which the values were measured.
        train, val, test: values [S] on the splits, all at equal weights; ``val`` may be missing.
        scale: √(N/m), drawn dashed as a heuristic scale. It is no bound. Where it lies more than four times
            above the largest gap it is only named in the legend, so that the gap stays readable.
        quantity: the name of the values; for accuracies pass errors, so that the sign keeps its meaning.
        title: heading of the figure.
    """
    gap = [b - a for a, b in zip(train, test, strict=True)]
    figure = new_figure(7.2, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    upper.plot(steps, train, color=TRAIN, label="train")
    if val is not None:
        upper.plot(steps, val, color=VAL, linestyle=(0, (5, 2)), label="val")
    upper.plot(steps, test, color=TEST, label="test")
    upper.set(ylabel=quantity, title=title)

    lower.axhline(0, color="0.6", linewidth=0.8)
    lower.plot(steps, gap, color="black", label=f"test − train (last: {gap[-1]:+.4f})")
    if scale is not None:
        above = scale > FAR_ABOVE * max(map(abs, gap))
        label = rf"$\sqrt{{N/m}}$ = {scale:.3g}, heuristic scale" + (" (far above)" if above else "")
        height = [] if above else [scale] * len(steps)
        lower.plot(steps[: len(height)], height, color="0.4", linestyle="--", label=label)
    lower.set(xlabel="optimiser step", ylabel=f"gap in {quantity}")
    for axes in (upper, lower):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure
