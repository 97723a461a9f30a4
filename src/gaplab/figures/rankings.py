"""Pictures of a study of capacity measures: how each ranks, and the gap against the measures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gaplab.figures.palette import BLUE, GREEN, OKABE_ITO, PURPLE, VERMILLION

Scores = Mapping[str, tuple[float, float]]
PANELS = (("tau_b", "Kendall's tau-b", BLUE, "o"), ("psi_mean", "granulated Ψ", VERMILLION, "s"))


def draw_ranking(scores: Mapping[str, Scores], *, size_axis: bool) -> Figure:
    """Draw tau-b and Ψ (left) and the robust sign error (right) of every measure, the best by Ψ on top.

    With ``size_axis``, hollow marks show the scores from pairs with equally many training points.
    """
    names = sorted(scores, key=lambda name: np.nan_to_num(scores[name]["psi_mean"][0], nan=-2.0))
    places = np.arange(len(names))
    figure = Figure(figsize=(9.6, 0.24 * len(names) + 1.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for score, label, color, marker in PANELS:
        _marks(left, [scores[name][score] for name in names], places, label, color, marker)
        if size_axis:
            values = [scores[name][f"{score}/equal_size"] for name in names]
            _marks(left, values, places, f"{label}, equal m", color, marker, hollow=True)
    left.axvline(0, color="0.6", linewidth=0.8)
    left.set_xlim(-1, 1)
    left.set_xticks([-1, -0.5, 0, 0.5, 1])
    left.set_xlabel("rank correlation with the gap (1: orders every pair)")
    left.set_yticks(places, names, fontsize=8)
    for part, label, color, marker in (
        ("mean", "mean", BLUE, "o"),
        ("percentile_90", "90th percentile", GREEN, "^"),
        ("maximum", "maximum", PURPLE, "x"),
    ):
        values = [scores[name][f"sign_error/{part}"] for name in names]
        _marks(right, values, places, label, color, marker)
    right.axvline(0.5, color="0.6", linewidth=0.8)
    right.set_xlim(-0.03, 1.03)
    right.set_xlabel("sign error over environments (½: a coin)")
    for axes in (left, right):
        axes.grid(axis="y", color="0.92", linewidth=0.6)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return figure


def draw_increments(found: Mapping[str, Any]) -> Figure:
    """Draw what each measure adds to the design: residual correlations (left), error removed (right), with 95 %.

    ``found`` has a ``metrics.increments.Increment`` a measure.
    """
    names = list(found)[::-1]
    places = np.arange(len(names))
    figure = Figure(figsize=(9.6, 0.24 * len(names) + 1.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    panels = (
        (left, "between", "among settings", BLUE, "o"),
        (left, "within", "among seeds of a setting", VERMILLION, "s"),
        (right, "error_removed", "error removed", GREEN, "o"),
    )
    for axes, field, label, color, marker in panels:
        values = np.array([getattr(found[name], field) for name in names])
        limits = np.array([getattr(found[name], f"{field}_interval") for name in names]).T
        axes.hlines(places, *limits, color=color, linewidth=1)
        axes.plot(values, places, marker, color=color, markersize=4, label=label)
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.grid(axis="y", color="0.92", linewidth=0.6)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    left.set_xlabel("correlation of measure and gap, design regressed out")
    left.set_yticks(places, names, fontsize=8)
    right.set_xlabel("share of the error out of fold that the measure removes")
    return figure


def draw_over_draws(
    values: Mapping[str, Any],
    means: Mapping[str, tuple[float, float]],
    known: Mapping[str, float],
    label: str,
) -> Figure:
    """Draw a score of every measure in each draw, its mean with 95 %, and its value with one known training set."""
    names = list(values)[::-1]
    places = np.arange(len(names))
    figure = Figure(figsize=(7.6, 0.24 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    drawn = np.array([values[name] for name in names])
    axes.plot(
        drawn.ravel(), np.repeat(places, drawn.shape[1]), "|", color="0.65", markersize=6, label="a draw"
    )
    _marks(axes, [means[name] for name in names], places, "mean of the draws, 95 %", BLUE, "o")
    there = [place for place, name in enumerate(names) if name in known]
    of_one = [known[names[place]] for place in there]
    axes.plot(of_one, there, "x", color=VERMILLION, markersize=5, label="study of one training set")
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel(f"{label}: rank correlation with the gap within a draw")
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return figure


def draw_gap_against_measures(
    table: Mapping[str, Any], measures: Sequence[str], gap: str, axis: str, *, most: int = 2_000
) -> Figure:
    """Draw the gap of every run against some measures, coloured by a hyperparameter.

    At most ``most`` runs are drawn, evenly chosen; a panel shows the middle 98 % of its measure.
    """
    columns = 3
    rows = -(-len(measures) // columns)
    figure = Figure(figsize=(9.6, 2.7 * rows + 0.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns, sharey=True)).ravel()
    chosen = np.unique(np.linspace(0, len(table[gap]) - 1, most).astype(int))
    values = np.unique(table[axis])
    for panel, measure in zip(panels, measures, strict=False):
        for value, color in zip(values, OKABE_ITO, strict=False):
            rows_of = chosen[table[axis][chosen] == value]
            panel.scatter(
                table[measure][rows_of],
                table[gap][rows_of],
                s=4,
                alpha=0.5,
                color=color,
                linewidths=0,
                label=f"{axis} = {value:g}" if isinstance(value, float) else f"{axis} = {value}",
            )
        low, high = np.quantile(table[measure], [0.01, 0.99])
        margin = 0.03 * (high - low) or 1.0
        panel.set_xlim(low - margin, high + margin)
        panel.set_title(measure, fontsize=9)
        panel.tick_params(labelsize=7)
    for panel in panels[len(measures) :]:
        panel.set_axis_off()
    for panel in panels[::columns]:
        panel.set_ylabel("gap of the accuracy", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)  # type: ignore[union-attr]
        handle.set_sizes([24])  # type: ignore[union-attr]
    return figure


def _marks(
    axes: Any,
    values: Sequence[tuple[float, float]],
    places: Any,
    label: str,
    color: str,
    marker: str,
    *,
    hollow: bool = False,
) -> None:
    axes.errorbar(
        [value for value, _ in values],
        places,
        xerr=[0 if np.isnan(error) else error for _, error in values],
        fmt=marker,
        markersize=4,
        color=color,
        markerfacecolor="white" if hollow else color,
        elinewidth=0.8,
        label=label,
    )
