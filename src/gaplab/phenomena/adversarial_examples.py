"""Adversarial examples: FGSM and PGD against the smallest perturbation that search can find in the plane."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, at_most
from gaplab.randomness import make_generator

EPSILONS = (0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2)
GRID_STEP = 0.005
RESTARTS, PGD_STEPS = 10, 20

Forward = Callable[[Tensor], Tensor]
"""Points [P, 2] to logits [P, C]."""


def input_gradient(forward: Forward, points: Tensor, labels: Tensor) -> Tensor:
    """∂loss/∂x [P, 2] of each point's own cross-entropy."""
    points = points.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(forward(points), labels, reduction="sum"), points)
    return gradient


def fast_gradient_sign(forward: Forward, points: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """x + ε·sign ∇ₓL: one step to a corner of the box |x' − x|∞ ≤ ε."""
    return points + epsilon * input_gradient(forward, points, labels).sign()


def projected_gradient(
    forward: Forward, points: Tensor, labels: Tensor, epsilon: float, generator: torch.Generator
) -> Tensor:
    """PGD: sign steps of ε/4, clipped to the box, from the point itself and from random starts in the box.

    The first success of a point is kept.
    """
    best = points.clone()
    fooled = torch.zeros(len(points), dtype=torch.bool)
    for start in range(RESTARTS):
        noise = 2 * torch.rand(points.shape, generator=generator, dtype=points.dtype) - 1
        moved = points + (epsilon * noise if start else 0.0)
        for _ in range(PGD_STEPS):
            moved = moved + epsilon / 4 * input_gradient(forward, moved, labels).sign()
            moved = points + (moved - points).clamp(-epsilon, epsilon)
            success = ~fooled & (forward(moved).argmax(dim=1) != labels)
            best[success] = moved[success]
            fooled |= success
    return best


@torch.no_grad()
def smallest_perturbation(
    forward: Forward, points: Tensor, labels: Tensor, reach: float = EPSILONS[-1], step: float = GRID_STEP
) -> Tensor:
    """Least |x' − x|∞ [P] with a wrong answer among all x' on a grid around each point; ∞ beyond ``reach``.

    In two dimensions search is exhaustive. The true distance is at most the value and, unless a region is
    thinner than the grid, larger than the value less one ``step``.
    """
    ticks = torch.arange(-round(reach / step), round(reach / step) + 1, dtype=points.dtype) * step
    offsets = torch.cartesian_prod(ticks, ticks)
    sizes = offsets.abs().amax(dim=1)
    distances = []
    for point, label in zip(points, labels, strict=True):
        wrong = forward(point + offsets).argmax(dim=1) != label
        distances.append(sizes[wrong].min() if wrong.any() else torch.tensor(torch.inf, dtype=points.dtype))
    return torch.stack(distances)


class Result(NamedTuple):
    """Accuracy at each ε under three attacks, and how well the witnesses agree."""

    fgsm: list[float]
    pgd: list[float]
    exact: list[float]
    impossible: int
    """Points that an attack fooled with less than the smallest perturbation (less one grid step)."""
    linear_error: float
    """Largest |change of a linear model's margin under FGSM + ε‖w₁ − w₀‖₁|."""
    distance_error: float
    """Largest |distance by search − margin/‖w₁ − w₀‖₁| of the linear model."""


def measure(seed: int, num_points: int, num_steps: int) -> Result:
    """Attack a trained 2-50-50-3 network, and a linear classifier of two arms whose answers are known."""
    networks = build_networks([seed], [50, 50])
    networks.train(*draw_spirals([seed], 300), num_steps=num_steps)
    points, labels = (tensor[0] for tensor in draw_spirals([seed], num_points, "test"))

    def forward(points: Tensor) -> Tensor:
        return networks.logits(points[None])[0]

    distances = smallest_perturbation(forward, points, labels)
    accuracies: dict[str, list[float]] = {"fgsm": [], "pgd": []}
    impossible = 0
    for epsilon in EPSILONS:
        generator = make_generator(seed, "pgd")
        attacked = {
            "fgsm": fast_gradient_sign(forward, points, labels, epsilon),
            "pgd": projected_gradient(forward, points, labels, epsilon, generator),
        }
        for name, moved in attacked.items():
            right = forward(moved).argmax(dim=1) == labels
            accuracies[name].append(float(right.double().mean()))
            impossible += int((~right & (distances > epsilon + GRID_STEP)).sum())
    exact = [float((distances > epsilon + 1e-6).double().mean()) for epsilon in EPSILONS]
    return Result(accuracies["fgsm"], accuracies["pgd"], exact, impossible, *linear_witness(seed, num_points))


def linear_witness(seed: int, num_points: int) -> tuple[float, float]:
    """Errors of the attack and of the search on a linear model, where both have closed forms (float64)."""
    networks = build_networks([seed], [], out_features=2)
    networks.train(*draw_spirals([seed], 300, num_arms=2), num_steps=200)
    weight = networks.parameters["output.weight"][0].double()
    bias = networks.parameters["output.bias"][0].double()
    points, _ = draw_spirals([seed], num_points, "test", num_arms=2)
    points = points[0].double()

    def forward(points: Tensor) -> Tensor:
        return points @ weight.T + bias

    labels = forward(points).argmax(dim=1)

    def margin(points: Tensor) -> Tensor:
        logits = forward(points)
        return logits.gather(1, labels[:, None]).squeeze(1) - logits.gather(1, 1 - labels[:, None]).squeeze(1)

    slope = (weight[1] - weight[0]).abs().sum()
    errors = [
        (margin(fast_gradient_sign(forward, points, labels, e)) - margin(points) + e * slope).abs().max()
        for e in EPSILONS
    ]
    distances, closed = smallest_perturbation(forward, points, labels), margin(points) / slope
    near = distances.isfinite()
    return float(max(errors)), float((distances - closed)[near].abs().max())


def judge(results: list[Result]) -> Verdict:
    def rise(values: Sequence[float]) -> float:
        return max(b - a for a, b in itertools.pairwise(values))

    rows: list[Row] = []
    for i, epsilon in enumerate(EPSILONS):
        rows.append(
            (epsilon, *(sum(getattr(r, name)[i] for r in results) / len(results) for name in _ATTACKS))
        )
    worse = [max(p - f for p, f in zip(r.pgd, r.fgsm, strict=True)) for r in results]
    ahead = [max(e - p for e, p in zip(r.exact, r.pgd, strict=True)) for r in results]
    return Verdict(
        checks=[
            at_most(
                "PGD: accuracy never rises with ε by more than 0.005", [rise(r.pgd) for r in results], 0.005
            ),
            at_most("accuracy under PGD is at most that under FGSM", worse, 0.0),
            at_most("accuracy under exact search is at most that under PGD (to 0.01)", ahead, 0.01),
            at_least(
                "a shift by 0.2 costs at least 0.5 of accuracy", [r.pgd[0] - r.pgd[-1] for r in results], 0.5
            ),
        ],
        witnesses=[
            at_most("no attack beats the smallest perturbation", [r.impossible for r in results], 0),
            at_most(
                "linear model: FGSM moves the margin by exactly −ε‖w‖₁",
                [r.linear_error for r in results],
                1e-12,
            ),
            at_most(
                "linear model: search finds margin/‖w‖₁ to one grid step",
                [r.distance_error for r in results],
                GRID_STEP + 1e-9,
            ),
        ],
        columns=("ε", *_ATTACKS.values()),
        rows=rows,
        figures={
            "attacks": draw_panels(
                [
                    Panel(
                        [
                            Curve(label, EPSILONS, [getattr(r, name) for r in results])
                            for name, label in _ATTACKS.items()
                        ],
                        "largest change of a coordinate ε (the spiral has radius 1)",
                        "test accuracy under attack",
                        limits=(-0.02, 1.02),
                    )
                ]
            )
        },
        remark=(
            "In two dimensions a perturbation that fools the network is one that a person can see: it moves "
            "the point towards another arm. The witness is what the plane is good for: all perturbations can "
            "be tried, so one knows how much an attack misses."
        ),
    )


_ATTACKS = {"fgsm": "FGSM", "pgd": "PGD", "exact": "exact search"}


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    size, num_steps = (40, 200) if quick else (400, 1000)
    return judge([measure(seed, size, num_steps) for seed in seeds])


PHENOMENON = Phenomenon(
    title="Instability: adversarial examples with an exact witness",
    claim=(
        "A small change of the input along the gradient's sign flips the answer; iterated attacks are "
        "stronger than one step, and none can beat the distance to the decision boundary."
    ),
    reference="Szegedy et al. 2014; Goodfellow et al. 2015 (FGSM); Madry et al. 2018 (PGD)",
    run=run,
)
