"""Generative against discriminative: fit the law of the points, or only the boundary between the classes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.figures.phenomena import Curve, Panel, draw_panels, draw_region_panels
from gaplab.phenomena.training import Networks, build_networks, draw_spirals
from gaplab.phenomena.verdict import Check, Phenomenon, Row, Verdict, at_least

NUM_POINTS = (9, 18, 36, 72, 150, 300, 1000, 3000)
NUM_ARMS = 3


class SpiralDensity(NamedTuple):
    """p(angle | radius, class c) normal around 2π·(c/C + turns·r) + phase; radius as in every class.

    Right up to three unknown numbers, of which two decide; the spread only sets the confidence.
    """

    turns: float
    phase: float
    noise: float

    def probabilities(self, points: Tensor) -> Tensor:
        """Class probabilities [P, 3] by Bayes' rule for balanced classes."""
        arms = torch.arange(NUM_ARMS)
        angle = torch.atan2(points[:, 0], points[:, 1])[:, None]
        excess = (
            angle - 2 * math.pi * (arms / NUM_ARMS + self.turns * points.norm(dim=1)[:, None]) - self.phase
        )
        wrapped = torch.remainder(excess + math.pi, 2 * math.pi) - math.pi
        return (-0.5 * (wrapped / self.noise).square()).softmax(dim=1)


def fit_spiral_density(points: Tensor, labels: Tensor) -> SpiralDensity:
    """Maximum likelihood for von Mises angles: the turns with the longest mean resultant, by search.

    With r the mean resultant length, the spread of the wrapped normal law is √(−2 ln r).
    """
    turns = torch.linspace(-2, 2, 4001)
    angle = torch.atan2(points[:, 0], points[:, 1]) - 2 * math.pi * labels / NUM_ARMS
    residual = angle - 2 * math.pi * turns[:, None] * points.norm(dim=1)
    resultant = torch.complex(residual.cos().mean(dim=1), residual.sin().mean(dim=1))
    best = int(resultant.abs().argmax())
    length = float(resultant[best].abs().clamp(max=1 - 1e-6))
    return SpiralDensity(float(turns[best]), float(resultant[best].angle()), math.sqrt(-2 * math.log(length)))


class GaussianDensity(NamedTuple):
    """A normal law a class, with means [3, 2] and covariances [3, 2, 2]: the wrong family for an arm."""

    means: Tensor
    covariances: Tensor

    def probabilities(self, points: Tensor) -> Tensor:
        """Class probabilities [P, 3] by Bayes' rule for balanced classes (quadratic discriminant)."""
        laws = torch.distributions.MultivariateNormal(self.means, self.covariances)
        return laws.log_prob(points[:, None]).softmax(dim=1)


def fit_gaussian_density(points: Tensor, labels: Tensor) -> GaussianDensity:
    """Mean and covariance of each class; 1e-3 on the diagonal keeps few points from degenerating."""
    groups = [points[labels == c] for c in range(NUM_ARMS)]
    floor = 1e-3 * torch.eye(2)
    return GaussianDensity(
        torch.stack([group.mean(dim=0) for group in groups]),
        torch.stack([group.T.cov(correction=0) + floor for group in groups]),
    )


class Result(NamedTuple):
    """Test accuracies, a value a seed."""

    spiral: list[float]
    gaussian: list[float]
    network: list[float]


def measure(
    num_points: int, seeds: Sequence[int], num_steps: int
) -> tuple[Result, SpiralDensity, GaussianDensity, Networks]:
    """Fit all three to the same points and score them on the same test set; also the models of seed one."""
    train, test = draw_spirals(seeds, num_points), draw_spirals(seeds, 5000, "test")
    networks = build_networks(seeds, [50, 50])
    networks.train(*train, num_steps=num_steps)
    spirals = [fit_spiral_density(*one) for one in zip(*train, strict=True)]
    gaussians = [fit_gaussian_density(*one) for one in zip(*train, strict=True)]

    def accuracies(models: Sequence[SpiralDensity | GaussianDensity]) -> list[float]:
        return [
            float((model.probabilities(x).argmax(dim=1) == y).double().mean())
            for model, x, y in zip(models, *test, strict=True)
        ]

    result = Result(accuracies(spirals), accuracies(gaussians), networks.accuracy(*test))
    return result, spirals[0], gaussians[0], networks


def judge(sizes: Sequence[int], results: list[Result], figure_models, seed: int) -> Verdict:  # type: ignore[no-untyped-def]
    few, many = results[0], results[-1]

    def lead(better: list[float], worse: list[float]) -> list[float]:
        return [a - b for a, b in zip(better, worse, strict=True)]

    reached = [
        next((m for m, r in zip(sizes, results, strict=True) if getattr(r, part)[k] >= 0.97), math.inf)
        for part in ("spiral", "network")
        for k in range(len(few.spiral))
    ]
    half = len(reached) // 2
    names = {
        "spiral": "spiral density (right family)",
        "gaussian": "Gaussian density (wrong family)",
        "network": "discriminative network 2-50-50-3",
    }
    rows: list[Row] = [
        (size, *(sum(getattr(r, part)) / len(r.spiral) for part in names))
        for size, r in zip(sizes, results, strict=True)
    ]
    spiral, gaussian, networks = figure_models
    points, labels = draw_spirals([seed], 300, "test")
    return Verdict(
        checks=[
            at_least(
                f"right family, {sizes[0]} points: generative ahead by 0.1",
                lead(few.spiral, few.network),
                0.1,
            ),
            Check(
                expectation="right family: needs at most a quarter of the points to reach 97 %",
                measured=f"{max(reached[:half])} points against {min(reached[half:])}",
                holds=4 * max(reached[:half]) <= min(reached[half:]),
            ),
            at_least(
                f"right family, {sizes[-1]} points: the network is not ahead by more than 0.002",
                lead(many.spiral, many.network),
                -0.002,
            ),
            at_least(
                f"wrong family, {sizes[-1]} points: discriminative ahead by 0.3",
                lead(many.network, many.gaussian),
                0.3,
            ),
        ],
        columns=("training points", *names.values()),
        rows=rows,
        figures={
            "learning_curves": draw_panels(
                [
                    Panel(
                        [
                            Curve(label, sizes, list(zip(*(getattr(r, part) for r in results), strict=True)))
                            for part, label in names.items()
                        ],
                        "training points",
                        "test accuracy",
                        log="x",
                    )
                ]
            ),
            "regions": draw_region_panels(
                [
                    ("spiral density", spiral.probabilities),
                    ("Gaussian density", gaussian.probabilities),
                    ("network", networks.one(0)),
                ],
                points[0],
                labels[0],
            ),
        },
        remark=(
            "A generative model also says how likely a point is, and can draw new ones. What it needs is a "
            "family that holds the truth: the same principle with one Gaussian a class fails however many "
            f"points it gets. The regions are those learned from {sizes[0]} points."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    sizes, num_steps = ((9, 36, 150), 100) if quick else (NUM_POINTS, 500)
    measured = [measure(size, seeds, num_steps) for size in sizes]
    return judge(sizes, [result for result, *_ in measured], measured[0][1:], seeds[0])


PHENOMENON = Phenomenon(
    title="Generative against discriminative",
    claim=(
        "A class-conditional density of the right family needs far fewer points than a classifier that learns "
        "the boundary; of the wrong family, it is overtaken for good."
    ),
    reference="Ng and Jordan 2002, On Discriminative vs. Generative Classifiers",
    run=run,
)
