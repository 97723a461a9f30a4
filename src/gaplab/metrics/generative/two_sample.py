"""Classifier two-sample test: can a judge tell generated points from real ones that it has never seen?

The judge trains on one half of the pooled, shuffled points and is scored on the other half. Under equal laws
its accuracy is ½ up to binomial noise. Source: Lopez-Paz & Oquab 2017. Give it fresh samples: points on
which the generator or its discriminator trained would make the test a measure of memorisation.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

C2STClassifier = Callable[[Tensor, Tensor, Tensor, torch.Generator], Tensor]
"""(training points, training labels in {0, 1}, test points, generator) -> predicted labels of the test
points.
"""


class TwoSampleResult(NamedTuple):
    """Outcome of one test."""

    accuracy: float
    p_value: float
    num_test: int


def accuracy_p_value(accuracy: float, num_test: int) -> float:
    """1 − Φ((t̂ − ½)·2·√n_te): chance of this accuracy or more for equal laws, by the normal approximation."""
    return 0.5 * math.erfc((accuracy - 0.5) * 2 * math.sqrt(num_test) / math.sqrt(2))


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
    train_points: Tensor, train_labels: Tensor, test_points: Tensor, generator: torch.Generator
) -> Tensor:
    """Majority vote of the k nearest training points, k = ⌊√n_tr⌋ made odd so that no vote ties."""
    num_neighbours = math.isqrt(len(train_points))
    num_neighbours -= 1 - num_neighbours % 2
    distances = torch.cdist(test_points, train_points, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.topk(num_neighbours, dim=1, largest=False).indices
    return (train_labels[nearest].double().mean(dim=1) > 0.5).long()


def network_judge(
    train_points: Tensor,
    train_labels: Tensor,
    test_points: Tensor,
    generator: torch.Generator,
    *,
    width: int = 64,
    num_steps: int = 400,
    lr: float = 0.01,
) -> Tensor:
    """A tanh network of two hidden layers, trained on cross-entropy by full-batch Adam.

    Inputs are standardised by the training half. Larger than the 20 ReLU units of the source, too few
    to follow a spiral.
    """
    mean, scale = train_points.mean(dim=0), train_points.std(dim=0).clamp(min=1e-12)
    sizes = [train_points.shape[1], width, width, 1]
    parameters: list[Tensor] = []
    for fan_in, fan_out in pairwise(sizes):
        weight = torch.randn(fan_in, fan_out, generator=generator) / math.sqrt(fan_in)
        parameters += [
            weight.to(train_points).requires_grad_(),
            train_points.new_zeros(fan_out).requires_grad_(),
        ]

    def logits(points: Tensor) -> Tensor:
        hidden = (points - mean) / scale
        for layer in range(0, len(parameters) - 2, 2):
            hidden = torch.tanh(hidden @ parameters[layer] + parameters[layer + 1])
        return (hidden @ parameters[-2] + parameters[-1])[:, 0]

    targets = train_labels.to(train_points.dtype)
    with torch.enable_grad():
        optimizer = torch.optim.Adam(parameters, lr=lr)
        for _ in range(num_steps):
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(logits(train_points), targets).backward()
            optimizer.step()
    with torch.no_grad():
        return (logits(test_points) > 0).long()


def two_sample_test(
    real: Tensor, fake: Tensor, *, generator: torch.Generator, judge: C2STClassifier = neighbour_judge
) -> TwoSampleResult:
    """Accuracy and p-value of ``judge`` on equally many real and generated points [n, D].

    The pooled points are shuffled, the first half trains the judge and the second half tests it. Raises
    ValueError for unequal counts (always answering "real" would then beat ½), fewer than 10 points each, or
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
    predicted = judge(points[train], labels[train], points[test], generator)
    accuracy = (predicted == labels[test]).double().mean().item()
    return TwoSampleResult(accuracy, accuracy_p_value(accuracy, len(test)), len(test))
