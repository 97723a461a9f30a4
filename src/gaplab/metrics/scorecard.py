"""The flat table of one measurement: losses, accuracies, gaps with error bars, and the heuristic scale."""

from collections.abc import Mapping

from gaplab.metrics.gap import (
    SplitScore,
    effective_parameters,
    gap_standard_error,
    generalization_gap,
    hoeffding_radius,
    sqrt_params_over_points,
)

DELTA = 0.05
"""Failure probability of the Hoeffding interval around a test accuracy."""
STANDARD_ERRORS = 1.96
"""Standard errors in half of a 95 % interval of a mean over many points."""


def scorecard(
    scores: Mapping[str, SplitScore], num_parameters: int, penalty: float = 0.0
) -> dict[str, float]:
    """Return one number a tag, as TensorBoard and ``result.json`` show them.

    Args:
        scores: Scores of the splits ``train``, ``test`` and possibly ``val``, all at the same weights.
        num_parameters: N of the scale sqrt(N/m); m is the number of training points in ``scores``.
        penalty: The L2 penalty that weight decay stands for; 0 leaves ``loss/train_penalized`` out.

    Returns:
        ``loss/<split>``, ``accuracy/<split>``, ``gap/loss`` (test - train) with its standard error
        ``gap/loss_error``, ``gap/accuracy`` (train - test) with the Hoeffding radius of the test accuracy
        ``gap/accuracy_error``, ``gap/effective_parameters``, the N for which sqrt(N/m) would be the gap of
        the accuracy, and ``scale/sqrt_params_over_points``, which is not a bound.
    """
    train, test = scores["train"], scores["test"]
    table = {f"loss/{name}": score.loss for name, score in scores.items()}
    table |= {f"accuracy/{name}": score.accuracy for name, score in scores.items()}
    if penalty > 0:
        table["loss/train_penalized"] = train.loss + penalty
    table["gap/loss"] = generalization_gap(train.loss, test.loss)
    table["gap/loss_error"] = gap_standard_error(
        train.loss_variance, train.num_points, test.loss_variance, test.num_points
    )
    table["gap/accuracy"] = generalization_gap(train.accuracy, test.accuracy, higher_is_better=True)
    table["gap/accuracy_error"] = hoeffding_radius(test.num_points, DELTA)
    table["gap/effective_parameters"] = effective_parameters(table["gap/accuracy"], train.num_points)
    table["scale/sqrt_params_over_points"] = sqrt_params_over_points(num_parameters, train.num_points)
    return table


def band_edges(table: Mapping[str, float]) -> dict[str, float]:
    """Return ``<gap>_lower`` and ``<gap>_upper``, the ends of the 95 % interval of every gap that has an error."""
    edges: dict[str, float] = {}
    for gap, value in table.items():
        width = half_width(table, gap) if gap.startswith("gap/") else None
        if width is not None:
            edges |= {f"{gap}_lower": value - width, f"{gap}_upper": value + width}
    return edges


def half_width(table: Mapping[str, float], gap: str) -> float | None:
    """Return half the width of the 95 % interval of a gap; None for a gap without an error.

    ``gap/accuracy_error`` is Hoeffding's radius already; the others are standard errors.
    """
    error = table.get(f"{gap}_error")
    return error if error is None or gap == "gap/accuracy" else STANDARD_ERRORS * error
