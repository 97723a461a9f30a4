"""Classifier two-sample test: can any of several judges tell generated points from real ones that it has never seen?

The judges train on one half of the pooled, shuffled points and are scored on the other half. Under equal laws the
accuracy of each is ½ up to binomial noise. Source: Lopez-Paz & Oquab 2017. Give them fresh samples: points on which the
generator or its discriminator trained would make the test a measure of memorisation.

Which judge is strong depends on the flaw, so the largest accuracy counts, against the null distribution of that
largest: the labels of the test half are permuted under the fixed answers of all judges, which is exact at every size.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor

Judge = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(training points, training labels in {0, 1}, test points) -> predicted labels of the test points."""

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


def neighbour_judge(
    train_points: Tensor, train_labels: Tensor, test_points: Tensor, *, num_neighbours: int | None = None
) -> Tensor:
    """Majority vote of the k nearest training points; an odd k, so that no vote ties. None: about √n_tr."""
    if num_neighbours is None:
        num_neighbours = math.isqrt(len(train_points))
        num_neighbours -= 1 - num_neighbours % 2
    distances = torch.cdist(test_points, train_points, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.topk(num_neighbours, dim=1, largest=False).indices
    return (train_labels[nearest].double().mean(dim=1) > 0.5).long()


def kernel_judge(train_points: Tensor, train_labels: Tensor, test_points: Tensor) -> Tensor:
    """A support vector machine with a Gaussian kernel on standardised numbers, by scikit-learn."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return _answers(make_pipeline(StandardScaler(), SVC()), train_points, train_labels, test_points)


def tree_judge(
    train_points: Tensor, train_labels: Tensor, test_points: Tensor, *, num_trees: int = 50
) -> Tensor:
    """Boosted trees of 8 leaves, by scikit-learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=num_trees, max_leaf_nodes=8, early_stopping=False, random_state=0
    )
    return _answers(trees, train_points, train_labels, test_points)


def _answers(classifier: Any, train_points: Tensor, train_labels: Tensor, test_points: Tensor) -> Tensor:
    classifier.fit(train_points.double().cpu().numpy(), train_labels.cpu().numpy())
    return torch.as_tensor(classifier.predict(test_points.double().cpu().numpy())).to(train_labels)


ON_POINTS: dict[str, Judge] = {
    "neighbours_5": partial(neighbour_judge, num_neighbours=5),
    "neighbours_15": partial(neighbour_judge, num_neighbours=15),
    "neighbours": neighbour_judge,
}
ON_FEATURES: dict[str, Judge] = {"kernel": kernel_judge, "trees": tree_judge}
"""Judges that need scikit-learn; they see the features of the law where it is known."""


def two_sample_test(
    real: Tensor,
    fake: Tensor,
    *,
    generator: torch.Generator,
    features: Callable[[Tensor], Tensor] | None = None,
    judges: tuple[Mapping[str, Judge], Mapping[str, Judge]] | None = None,
) -> TwoSampleResult:
    """Judge equally many real and generated points [n, D].

    The pooled points are shuffled, the first half trains the judges and the second half tests them.

    Args:
        real: True points.
        fake: Generated ones.
        generator: Shuffles and permutes.
        features: Points to what tells most about them, [n, F]; None for the points themselves.
        judges: Those of points and those of features; None for all of ``ON_POINTS`` and, where scikit-learn is
            installed, ``ON_FEATURES``.

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
    if judges is None:
        judges = ON_POINTS, ON_FEATURES if find_spec("sklearn") else {}
    labels = torch.arange(2, device=points.device).repeat_interleave(len(real))
    order = torch.randperm(len(points), generator=generator).to(points.device)
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    seen = points if features is None else features(points)
    answers = {
        name: judge(inputs[train], labels[train], inputs[test])
        for inputs, panel in zip((points, seen), judges, strict=True)
        for name, judge in panel.items()
    }
    accuracies = {name: (answer == labels[test]).double().mean().item() for name, answer in answers.items()}
    largest = max(accuracies.values())
    p_value = largest_p_value(torch.stack(list(answers.values())).cpu(), labels[test].cpu(), generator)
    return TwoSampleResult(largest, p_value, len(test), accuracies)


def largest_p_value(answers: Tensor, labels: Tensor, generator: torch.Generator) -> float:
    """Return the chance that the largest accuracy of some answers [J, n] is as high for labels [n] in random order."""
    orders = [torch.randperm(len(labels), generator=generator) for _ in range(NUM_PERMUTATIONS)]
    columns = torch.stack([labels, *(labels[order] for order in orders)], dim=1).double() * 2 - 1
    largest = (
        ((answers.double() * 2 - 1) @ columns).max(dim=0).values
    )  # right minus wrong answers, whole numbers
    return (largest >= largest[0]).double().mean().item()
