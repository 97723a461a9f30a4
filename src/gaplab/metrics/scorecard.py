"""The flat table of one measurement: quantities on all splits, gaps with error bars, and the heuristic scale."""

from collections.abc import Collection, Mapping

from gaplab.metrics.gap import (
    Mean,
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
    """Return the table of a classifier: one number a tag, as TensorBoard and ``result.json`` show them.

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
    means = {
        name: {
            "loss": Mean(score.loss, score.loss_standard_error, score.num_points),
            "accuracy": Mean(score.accuracy, None, score.num_points),
        }
        for name, score in scores.items()
    }
    table = gap_table(means, {"accuracy"}, penalty)
    num_points = scores["train"].num_points
    table["gap/accuracy_error"] = hoeffding_radius(scores["test"].num_points, DELTA)
    table["gap/effective_parameters"] = effective_parameters(table["gap/accuracy"], num_points)
    table["scale/sqrt_params_over_points"] = sqrt_params_over_points(num_parameters, num_points)
    return table


def gap_table(
    scores: Mapping[str, Mapping[str, Mean]], higher_is_better: Collection[str] = (), penalty: float = 0.0
) -> dict[str, float]:
    """Return the table of any task: every quantity on every split, and its gap.

    Args:
        scores: Quantities by split, all at the same weights. Gaps need ``train`` and ``test``.
        higher_is_better: Quantities that are larger where the model is better. A positive gap always means
            worse on unseen data.
        penalty: The L2 penalty that weight decay stands for; 0 leaves ``loss/train_penalized`` out.

    Returns:
        ``<quantity>/<split>``, ``gap/<quantity>`` and, where the quantity is a mean over examples, its standard error
        ``gap/<quantity>_error``. A slash in the name of a quantity is an underscore in its gap.
    """
    quantities = dict.fromkeys(quantity for split in scores.values() for quantity in split)
    table = {
        f"{quantity}/{name}": split[quantity].mean
        for quantity in quantities
        for name, split in scores.items()
        if quantity in split
    }
    if penalty > 0 and "loss/train" in table:
        table["loss/train_penalized"] = table["loss/train"] + penalty
    for quantity in quantities:
        train, test = (scores.get(name, {}).get(quantity) for name in ("train", "test"))
        if train is None or test is None:
            continue
        tag = f"gap/{quantity.replace('/', '_')}"
        table[tag] = generalization_gap(train.mean, test.mean, higher_is_better=quantity in higher_is_better)
        if train.standard_error is not None and test.standard_error is not None:
            table[f"{tag}_error"] = gap_standard_error(
                train.variance, train.num_points, test.variance, test.num_points
            )
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
