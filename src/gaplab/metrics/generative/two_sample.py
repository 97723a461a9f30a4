"""Classifier two-sample test: can any of several judges tell generated points from real ones that it has never seen?

The judges train on one half of the pooled, shuffled points and are scored on the other half. Under equal laws the
accuracy of each is ½ up to binomial noise. Source: Lopez-Paz & Oquab 2017. Give them fresh samples: points on which the
generator or its discriminator trained would make the test a measure of memorisation.

Which judge is strong depends on the flaw, so the largest accuracy counts, against the null distribution of that
largest: the labels of the test half are permuted under the fixed answers of all judges, which is exact at every size.
"""

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.metrics.generative.distances import NearestPoints
from gaplab.metrics.generative.permutations import expected_p_value, permutation_p_value

Judges = Callable[[Tensor, Tensor, Tensor], Mapping[str, Tensor]]
"""(training points, training labels in {0, 1}, test points) -> predicted labels of the test points, of each judge."""
NEIGHBOURS: dict[str, int | None] = {"neighbours_5": 5, "neighbours_15": 15, "neighbours": None}

NUM_PERMUTATIONS = 1_000


class TwoSampleResult(NamedTuple):
    """Outcome of one test."""

    accuracy: float
    """The largest of all judges'."""
    p_value: float
    """Chance that the largest accuracy is as high for equal laws; at least 1 / 1,001."""
    num_test: int
    accuracies: dict[str, float]
    """Of each judge."""
    expected_accuracy: float
    """Mean of the largest accuracy under the null distribution: of equal laws, for answers that agree as often."""
    expected_p_value: float
    """Mean of the p-value under the null distribution, above one half by ties."""
    expected_accuracies: dict[str, float]
    """Mean of each judge's accuracy under the null distribution: one half, or less where it leans to the label that
    its half has more of, and the other half fewer."""


def detection_power(true_accuracy: float, num_test: int, *, level: float = 0.05) -> float:
    """Chance that the test rejects at ``level`` when the judge's true accuracy is ½ + ε.

    Φ((ε·√n_te − Φ⁻¹(1 − level)/2) / √(¼ − ε²)): says how large a difference a pass leaves possible.
    """
    if not 0.5 <= true_accuracy < 1:
        raise ValueError(f"true_accuracy must lie in [0.5, 1), got {true_accuracy}")
    excess = true_accuracy - 0.5
    quantile = math.sqrt(2) * torch.erfinv(torch.tensor(1 - 2 * level, dtype=torch.float64)).item()
    z = (excess * math.sqrt(num_test) - quantile / 2) / math.sqrt(0.25 - excess**2)
    return 0.5 * math.erfc(-z / math.sqrt(2))


def neighbour_judges(
    train_points: Tensor,
    train_labels: Tensor,
    test_points: Tensor,
    *,
    numbers: Mapping[str, int | None] = NEIGHBOURS,
) -> dict[str, Tensor]:
    """Majority votes of the k nearest training points; an odd k, so that no vote ties. None: about √n_tr."""
    root = math.isqrt(len(train_points))
    odd = {name: root - 1 + root % 2 if number is None else number for name, number in numbers.items()}
    most = max(odd.values())
    votes = train_labels[NearestPoints(train_points).indices(test_points, most)].cumsum(dim=1)
    return {name: (2 * votes[:, number - 1] > number).long() for name, number in odd.items()}


def kernel_judge(train_points: Tensor, train_labels: Tensor, test_points: Tensor) -> Tensor:
    """A support vector machine with a Gaussian kernel on standardised numbers, by scikit-learn."""
    from sklearn.metrics.pairwise import rbf_kernel
    from sklearn.svm import SVC

    mean, std = train_points.double().mean(dim=0), train_points.double().std(dim=0, correction=0)
    train, test = ((points.double() - mean) / std.where(std > 0, 1) for points in (train_points, test_points))
    spread = train.square().sum(dim=1).mean().item()  # what scikit-learn's gamma="scale" divides by
    gamma, seen = 1 / spread if spread > 0 else 1.0, train.cpu().numpy()
    # It would compute the same kernel entry by entry, in several times the time.
    machine = SVC(kernel="precomputed").fit(rbf_kernel(seen, gamma=gamma), train_labels.cpu().numpy())
    scores = rbf_kernel(test.cpu().numpy(), seen[machine.support_], gamma=gamma) @ machine.dual_coef_[0]
    return torch.as_tensor(scores > -float(machine.intercept_[0])).to(train_labels)


def tree_judge(
    train_points: Tensor, train_labels: Tensor, test_points: Tensor, *, num_trees: int = 50
) -> Tensor:
    """Boosted trees of 8 leaves, by scikit-learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=num_trees, max_leaf_nodes=8, early_stopping=False, random_state=0
    )
    trees.fit(train_points.double().cpu().numpy(), train_labels.cpu().numpy())
    return torch.as_tensor(trees.predict(test_points.double().cpu().numpy())).to(train_labels)


def fitted_judges(train_points: Tensor, train_labels: Tensor, test_points: Tensor) -> dict[str, Tensor]:
    """What scikit-learn's judges say; nothing where it is not installed."""
    panel = {"kernel": kernel_judge, "trees": tree_judge} if find_spec("sklearn") else {}
    return {name: judge(train_points, train_labels, test_points) for name, judge in panel.items()}


def two_sample_test(
    real: Tensor,
    fake: Tensor,
    *,
    generator: torch.Generator,
    features: Callable[[Tensor], Tensor] | None = None,
    judges: tuple[Judges, Judges] = (neighbour_judges, fitted_judges),
) -> TwoSampleResult:
    """Judge equally many real and generated points [n, D].

    The pooled points are shuffled, the first half trains the judges and the second half tests them.

    Args:
        real: True points.
        fake: Generated ones.
        generator: Shuffles and permutes.
        features: Points to what tells most about them, [n, F]; None for the points themselves.
        judges: Those of points and those of features.

    Raises:
        ValueError: For unequal counts (always answering "real" would then beat ½), fewer than 10 points each, or
            points that are not finite.
    """
    if real.shape != fake.shape:
        raise ValueError(
            "a fair judge needs as many real as generated points of one dimension; "
            f"got {list(real.shape)} and {list(fake.shape)}"
        )
    if len(real) < 10:
        raise ValueError(f"the two-sample test needs at least 10 points of each kind, got {len(real)}")
    points = torch.cat([real.detach(), fake.detach()])
    if not points.isfinite().all():
        raise ValueError("the two-sample test met NaN or infinite points; the generator has diverged")
    labels = torch.arange(2, device=points.device).repeat_interleave(len(real))
    order = torch.randperm(len(points), generator=generator).to(points.device)
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    seen = points if features is None else features(points)
    answers: dict[str, Tensor] = {}
    for inputs, panel in zip((points, seen), judges, strict=True):
        answers |= panel(inputs[train], labels[train], inputs[test])
    hidden = labels[test]
    accuracies = {name: (answer == hidden).double().mean().item() for name, answer in answers.items()}
    share = hidden.double().mean().item()
    expected = {}
    for name, answer in answers.items():
        ones = answer.double().mean().item()
        expected[name] = ones * share + (1 - ones) * (1 - share)
    largest = largest_accuracies(torch.stack(list(answers.values())).cpu(), hidden.cpu(), generator)
    return TwoSampleResult(
        accuracy=max(accuracies.values()),
        p_value=permutation_p_value(largest[0].item(), largest[1:]),
        num_test=len(test),
        accuracies=accuracies,
        expected_accuracy=largest[1:].mean().item(),
        expected_p_value=expected_p_value(largest[1:]),
        expected_accuracies=expected,
    )


def largest_accuracies(answers: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return the largest accuracy of answers [J, n], for labels [n] as they are and in 1,000 random orders, [1,001]."""
    orders = [torch.randperm(len(labels), generator=generator) for _ in range(NUM_PERMUTATIONS)]
    signs = labels.float() * 2 - 1
    rows = torch.cat([signs[None], signs[torch.stack(orders)]])
    # Right minus wrong answers, whole numbers: equal accuracies are equal numbers.
    margins = (rows @ (answers.float().T * 2 - 1)).max(dim=1).values
    return (margins.double() / len(labels) + 1) / 2
