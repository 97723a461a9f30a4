"""The generalization gap, its error bars, and the heuristic scale it is often compared with."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric


def generalization_gap(train: float, test: float, *, higher_is_better: bool = False) -> float:
    """How much worse the value on unseen data is: positive always means worse.

    ``test - train`` for losses (the default), ``train - test`` for accuracies (``higher_is_better=True``).

    >>> generalization_gap(train=0.25, test=0.75)
    0.5
    >>> generalization_gap(train=1.0, test=0.75, higher_is_better=True)
    0.25
    """
    return train - test if higher_is_better else test - train


def hoeffding_radius(num_points: int, delta: float = 0.05) -> float:
    """Half-width √(ln(2/δ)/(2n)) of the two-sided interval around a mean of n independent values in [0, 1].

    With probability at least 1 − δ the expectation lies within this radius of the mean. It holds for one
    network fixed before the n points are seen, that is, for a test set but not for the training set
    (Hoeffding 1963, Theorem 2).

    >>> round(hoeffding_radius(3000), 4)
    0.0248
    """
    _require_points(num_points)
    if not 0 < delta < 1:
        raise ValueError(f"Expected `delta`, a failure probability, to be between 0 and 1, but got {delta}.")
    return math.sqrt(math.log(2 / delta) / (2 * num_points))


def gap_standard_error(
    train_variance: float, train_count: int, test_variance: float, test_count: int
) -> float:
    """Standard error of the difference between the means of two independent samples.

    Each variance is that of single values, not of the mean. The network depends on the training points, so
    the training half describes only the scatter of the values, not the noise of another training run.
    """
    _require_points(min(train_count, test_count))
    return math.sqrt(train_variance / train_count + test_variance / test_count)


def sqrt_params_over_points(num_parameters: int, num_points: int) -> float:
    """Heuristic scale √(N/m) for the gap of N parameters trained on m points. Not a bound.

    The gap is said to be "of the order of" this number (Arora, "Proving generalization of deep nets via
    compression", blog of 2018), where N is an effective number of parameters and logarithms are ignored.
    With the plain parameter count it mostly overestimates the gap of an accuracy, and for an unbounded loss
    such as the cross-entropy it promises nothing.
    """
    _require_points(num_points)
    return math.sqrt(num_parameters / num_points)


def effective_parameters(gap: float, num_points: int) -> float:
    """The N for which √(N/m) equals the gap, m·gap²: how many parameters the gap looks like."""
    _require_points(num_points)
    return num_points * gap * gap


class Mean(NamedTuple):
    """A quantity of one split: the mean over its examples, or a value of the split as a whole."""

    mean: float
    standard_error: float | None
    """Of the mean; None for a value that is no mean over examples, such as R²."""
    num_points: int

    @property
    def variance(self) -> float:
        """Unbiased variance of the single values; what ``gap_standard_error`` takes."""
        assert self.standard_error is not None, "only means over examples have one"
        return self.standard_error * self.standard_error * self.num_points


class SplitScore(NamedTuple):
    """Mean loss with its standard error, accuracy, and the exact number of points of one split."""

    loss: float
    loss_standard_error: float
    accuracy: float
    num_points: int

    @classmethod
    def of_sums(cls, losses: float, squares: float, correct: int, count: int) -> "SplitScore":
        """Return the score of ``count`` points from the sums of their losses, of the squares and of the hits."""
        mean = losses / count
        return cls(mean, standard_error(mean, squares, count), correct / count, count)

    @classmethod
    def of_means(cls, loss: Mean, accuracy: Mean) -> "SplitScore":
        """Return the score with these means over the same points."""
        assert loss.standard_error is not None, "a loss is a mean over points"
        return cls(loss.mean, loss.standard_error, accuracy.mean, loss.num_points)


class ExampleMean(Metric):
    """The mean of one value an example over a whole split; sums are added, so that every example counts once under DDP.

    The sums are float64 and the count int64: the result does not depend on the batch size beyond rounding.
    """

    full_state_update = False
    total: Tensor
    square_total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("total", "square_total"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """Add the values [B] of B examples."""
        if values.ndim != 1:
            raise ValueError(
                f"Expected `values` to hold one number an example, of shape [B], but got {list(values.shape)}; "
                "use reduction='none'."
            )
        values = values.detach().double()
        self.total += values.sum()
        self.square_total += values.square().sum()
        self.count += values.numel()

    def compute(self) -> Mean:
        count = int(self.count)
        _require_points(count)
        mean = float(self.total) / count
        return Mean(mean, standard_error(mean, float(self.square_total), count), count)


def standard_error(mean: float, squares: float, count: int) -> float:
    """Return the standard error of a mean of ``count`` values from the sum of their squares; NaN for one value."""
    # Products, as a power of a float that is too large raises; a run that diverges has such losses.
    variance = max(squares - count * mean * mean, 0.0) / (count - 1) if count > 1 else math.nan
    return math.sqrt(variance / count)


def _require_points(num_points: int) -> None:
    if num_points < 1:
        raise ValueError(f"Expected the number of points to be at least 1, but got {num_points}.")
