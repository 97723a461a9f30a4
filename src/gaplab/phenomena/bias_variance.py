"""Bias and variance over draws of the training set: polynomials trade one for the other, networks need not."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.data.regression import sample_noisy, sine_mean
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import build_networks, mean_squared_error
from gaplab.phenomena.verdict import (
    Check,
    Phenomenon,
    Row,
    Verdict,
    at_least,
    at_most,
    mean_at_least,
    mean_at_most,
    spread,
)
from gaplab.randomness import make_generator

NUM_POINTS, NUM_DRAWS, NOISE = 30, 20, 0.3
ENDS = (-1.0, 1.0)
DEGREES = (0, 1, 3, 5, 7, 9)
WIDTHS = (2, 8, 32, 128)
NUM_GRID, NUM_FRESH = 400, 4000


class Parts(NamedTuple):
    """What the expected squared error of a learner on a fresh noisy point consists of."""

    bias: float
    """Mean over x of (mean prediction − truth)², less what the finite number of draws adds; may be below 0."""
    variance: float
    """Mean over x of the variance of predictions over draws of the training set."""

    @property
    def error(self) -> float:
        return self.bias + self.variance + NOISE**2


def law(points: Tensor) -> Tensor:
    """sin(πx), the true mean of the targets [P] at points [P, 1]."""
    return sine_mean(points, 1.0, 1)


def draw_sets(seed: int) -> tuple[Tensor, Tensor]:
    """Points [K, P, 1] and targets [K, P, 1] of K training sets of one law."""
    drawn = [
        sample_noisy(
            NUM_POINTS, law, 1, ENDS, noise=NOISE, generator=make_generator(seed, "points", str(draw))
        )
        for draw in range(NUM_DRAWS)
    ]
    return torch.stack([x for x, _ in drawn]), torch.stack([y for _, y in drawn])[..., None]


def decompose(predictions: Tensor, truth: Tensor) -> Parts:
    """Predictions [K, P] of learners from K independent training sets, and the truth [P] at the same places."""
    variance = predictions.double().var(dim=0).mean()
    bias = (predictions.double().mean(dim=0) - truth.double()).square().mean() - variance / len(predictions)
    return Parts(float(bias), float(variance))


def polynomials(points: Tensor, degree: int) -> Tensor:
    """Legendre polynomials [..., P, degree + 1] at points [..., P, 1]."""
    values = [torch.special.legendre_polynomial_p(points.double(), n) for n in range(degree + 1)]
    return torch.cat(values, dim=-1)


def fit_polynomials(points: Tensor, targets: Tensor, degree: int, places: Tensor) -> Tensor:
    """Predictions [K, Q] at places [Q, 1] of least squares on each of K training sets."""
    features = polynomials(points, degree)
    solutions = torch.linalg.lstsq(features, targets.double(), driver="gelsd").solution
    return (polynomials(places, degree) @ solutions)[..., 0]


def fit_networks(
    points: Tensor, targets: Tensor, seed: int, width: int, num_steps: int, places: Tensor
) -> Tensor:
    """Predictions [K, Q] of 1-width-1 ReLU networks, each from a training set and first weights of its own."""
    networks = build_networks(
        [seed * NUM_DRAWS + draw for draw in range(NUM_DRAWS)], [width], in_features=1, out_features=1
    )
    networks.train(points, targets, num_steps=num_steps, lr=1e-2, loss=mean_squared_error)
    with torch.no_grad():
        return networks.logits(places.expand(NUM_DRAWS, -1, -1))[..., 0]


def measure(seed: int, num_steps: int) -> tuple[dict[int, Parts], dict[int, Parts], float]:
    """The parts by degree and by width, and for degree 3 the measured error over the sum of its parts."""
    points, targets = draw_sets(seed)
    grid = torch.linspace(*ENDS, NUM_GRID)[:, None]
    by_degree = {
        degree: decompose(fit_polynomials(points, targets, degree, grid), law(grid)) for degree in DEGREES
    }
    by_width = {
        width: decompose(fit_networks(points, targets, seed, width, num_steps, grid), law(grid))
        for width in WIDTHS
    }
    fresh, fresh_targets = sample_noisy(
        NUM_FRESH, law, 1, ENDS, noise=NOISE, generator=make_generator(seed, "points", "test")
    )
    errors = (fit_polynomials(points, targets, 3, fresh) - fresh_targets).square()
    return by_degree, by_width, float(errors.mean()) / by_degree[3].error


def judge(
    polynomial: list[dict[int, Parts]], network: list[dict[int, Parts]], agreement: list[float]
) -> Verdict:
    """Each list has an entry a seed."""
    few, most = DEGREES[1], DEGREES[-1]
    narrow, wide = WIDTHS[0], WIDTHS[-1]
    # With P points and d + 1 coefficients of the right kind the variance is about σ²(d + 1)/P.
    textbook = NOISE**2 * 4 / NUM_POINTS
    best = [min(DEGREES, key=lambda degree: one[degree].error) for one in polynomial]
    rows: list[Row] = []
    for name, results in (("polynomial, degree", polynomial), ("network, width", network)):
        for size in results[0]:
            parts = [one[size] for one in results]
            rows.append(
                (
                    f"{name} {size}",
                    fmean(p.bias for p in parts),
                    fmean(p.variance for p in parts),
                    fmean(p.error for p in parts),
                )
            )

    def panel(results: list[dict[int, Parts]], xlabel: str, title: str, log: str) -> Panel:
        curves = [
            Curve(
                name, list(results[0]), [[max(getattr(p, of), 1e-5) for p in one.values()] for one in results]
            )
            for name, of in (("bias² (at least 1e-5)", "bias"), ("variance", "variance"), ("error", "error"))
        ]
        return Panel(curves, xlabel, "squared error", title, log=log, lines=[("noise", NOISE**2)])

    return Verdict(
        checks=[
            at_most(
                f"polynomials: bias² falls at least 20-fold from degree {few} to degree 3",
                [one[3].bias / one[few].bias for one in polynomial],
                1 / 20,
            ),
            at_least(
                f"and variance grows at least 10-fold from degree 3 to degree {most}",
                [one[most].variance / one[3].variance for one in polynomial],
                10,
            ),
            Check(
                expectation="so that the error is smallest at degree 3 or 5",
                measured=f"degree {spread(best)}",
                holds=set(best) <= {3, 5},
            ),
            mean_at_least(
                "degree 3: variance over σ²(d + 1)/m at least 1 in the mean",
                [one[3].variance / textbook for one in polynomial],
                1.0,
            ),
            mean_at_most("and at most 2", [one[3].variance / textbook for one in polynomial], 2.0),
            at_most(
                f"networks: bias² falls at least 10-fold from {narrow} to {wide} units",
                [one[wide].bias / one[narrow].bias for one in network],
                0.1,
            ),
            mean_at_most(
                "and variance does not grow: their ratio at most 1 in the mean",
                [one[wide].variance / one[narrow].variance for one in network],
                1.0,
            ),
        ],
        witnesses=[
            at_most(
                "measured error of degree 3 on noisy points is bias² + variance + σ² (to 0.1)",
                [abs(ratio - 1) for ratio in agreement],
                0.1,
            )
        ],
        columns=("learner", "bias²", "variance", "bias² + variance + σ²"),
        rows=rows,
        figures={
            "parts": draw_panels(
                [
                    panel(polynomial, "degree", "polynomials by least squares", "y"),
                    panel(network, "hidden units", "ReLU networks by Adam", "xy"),
                ]
            )
        },
        remark=(
            f"{NUM_POINTS} points of sin(πx) with noise of variance σ² = {NOISE**2:.2g}, {NUM_DRAWS} training sets a "
            "seed. More parameters need not mean more variance: what grows with the degree falls with the width."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps = 50 if quick else 1000
    polynomial, network, agreement = zip(*(measure(seed, num_steps) for seed in seeds), strict=True)
    return judge(list(polynomial), list(network), list(agreement))


PHENOMENON = Phenomenon(
    title="Bias and variance",
    claim=(
        "The expected error is bias² + variance + noise. A polynomial of higher degree has less bias and more "
        "variance, so that a middle one is best; a wider network has less of both."
    ),
    reference="Geman, Bienenstock and Doursat 1992; Neal et al. 2018 (networks)",
    run=run,
)
