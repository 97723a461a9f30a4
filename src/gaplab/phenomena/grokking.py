"""Grokking: on modular addition the gap opens at once and closes long after, if weights decay."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from gaplab.figures.palette import TEST, TRAIN
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Networks, Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, at_most, mean_at_least
from gaplab.randomness import make_generator

MODULUS, WIDTH = 23, 128
SHARE = 0.6
"""Of the 529 sums, how many are trained."""
EVERY = 20
DECAYS = (0.0, 1.0, 3.0)


class SquareNetwork(nn.Module):
    """W₂(W₁x)² without biases: squares of sums contain the products that addition of angles needs."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        inputs = 2 * MODULUS
        self.first = nn.Parameter(torch.randn(inputs, WIDTH, generator=generator) / math.sqrt(inputs))
        self.second = nn.Parameter(torch.randn(WIDTH, MODULUS, generator=generator) / math.sqrt(WIDTH))

    def forward(self, points: Tensor) -> Tensor:
        return (points @ self.first).square() @ self.second


class Result(NamedTuple):
    """A training: accuracies [evaluation][seed] over the steps."""

    steps: list[int]
    train: list[list[float]]
    test: list[list[float]]
    norms: list[list[float]]
    """Euclidean norm of all weights [evaluation][seed]."""

    def at(self, curve: list[list[float]], steps: Sequence[float]) -> list[float]:
        """The curve [seed] at a step for each seed; not a number where the step is infinite."""
        return [
            curve[self.steps.index(int(step))][seed] if math.isfinite(step) else math.nan
            for seed, step in enumerate(steps)
        ]

    def reached(self, curve: list[list[float]], accuracy: float) -> list[float]:
        """First step [seed] at which the curve has reached the accuracy; infinite where it never did."""
        return [
            next((s for s, a in zip(self.steps, values, strict=True) if a >= accuracy), math.inf)
            for values in zip(*curve, strict=True)
        ]


def draw_sums(seed: int, share: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training inputs and answers, then the others: a and b one-hot [P, 46], answer (a + b) mod 23."""
    pairs = torch.cartesian_prod(torch.arange(MODULUS), torch.arange(MODULUS))
    points = one_hot(pairs, MODULUS).flatten(1).float()
    labels = pairs.sum(dim=1) % MODULUS
    order = torch.randperm(len(pairs), generator=make_generator(seed, "split"))
    train, test = order[: round(share * len(order))], order[round(share * len(order)) :]
    return points[train], labels[train], points[test], labels[test]


def measure(seeds: Sequence[int], num_steps: int, weight_decay: float, share: float = SHARE) -> Result:
    """Train one network a seed on sums."""
    drawn = zip(*(draw_sums(seed, share) for seed in seeds), strict=True)
    points, labels, test_points, test_labels = (torch.stack(parts) for parts in drawn)
    networks = Networks([SquareNetwork(make_generator(seed, "weights")) for seed in seeds])
    return follow(networks, (points, labels), (test_points, test_labels), num_steps, weight_decay)


def measure_spirals(seeds: Sequence[int], num_steps: int, weight_decay: float) -> Result:
    """Train 2-50-50-3 on as many points of three arms as there are training sums, in the same way."""
    train = draw_spirals(seeds, round(SHARE * MODULUS**2))
    return follow(
        build_networks(seeds, [50, 50]), train, draw_spirals(seeds, 2000, "test"), num_steps, weight_decay
    )


def follow(
    networks: Networks,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    num_steps: int,
    weight_decay: float,
) -> Result:
    """Train by full-batch AdamW and measure on the way."""
    result = Result([], [], [], [])

    def observe(step: int, parameters: Parameters) -> None:
        result.steps.append(step)
        result.train.append(networks.accuracy(*train, parameters))
        result.test.append(networks.accuracy(*test, parameters))
        squares = torch.stack([value.detach().square().flatten(1).sum(1) for value in parameters.values()])
        result.norms.append(squares.sum(dim=0).sqrt().tolist())

    networks.train(
        *train,
        num_steps=num_steps,
        lr=3e-3,
        weight_decay=weight_decay,
        betas=(0.9, 0.98),  # with 0.999 the delay is several times as long
        observe=observe,
        observe_every=EVERY,
    )
    return result


def judge(results: dict[float, Result], few: Result, spirals: Result) -> Verdict:
    """``results`` by weight decay; ``few``: decay 1 with 30 % of the sums; ``spirals``: decay 1 on these."""
    none, usual, strong = (results[decay] for decay in DECAYS)
    fitted, solved = usual.reached(usual.train, 0.999), usual.reached(usual.test, 0.95)
    sooner = strong.reached(strong.test, 0.95)
    kinds = {f"weight decay {decay:g}": result for decay, result in results.items()}
    kinds["weight decay 1, 30 % of the sums"] = few
    kinds["spirals, weight decay 1"] = spirals
    learned = spirals.reached(spirals.train, 0.97)
    rows: list[Row] = [
        (
            name,
            fmean(r.reached(r.train, 0.999)),
            fmean(r.reached(r.test, 0.95)),
            fmean(r.test[-1]),
            fmean(r.norms[-1]),
        )
        for name, r in kinds.items()
    ]
    return Verdict(
        checks=[
            at_most(
                "weight decay 1: when all training sums are right, at most 0.3 of the others are",
                usual.at(usual.test, fitted),
                0.3,
            ),
            at_least(
                "weight decay 1: 95 % of the others are right after at least 3 times as many steps",
                [b / a if math.isfinite(b) else math.nan for a, b in zip(fitted, solved, strict=True)],
                3.0,
            ),
            mean_at_least(
                "weight decay 3 gets there sooner: ratio of the steps at least 1.1 in the mean",
                [a / b for a, b in zip(solved, sooner, strict=True)],
                1.1,
            ),
            at_most(
                f"without decay it does not happen in {none.steps[-1]} steps: accuracy on the others at most 0.5",
                none.test[-1],
                0.5,
            ),
            at_most("nor with 30 % of the sums", few.test[-1], 0.5),
            at_most(
                "weight decay 1: the norm of the weights ends at no more than 0.9 of that without decay",
                [a / b for a, b in zip(usual.norms[-1], none.norms[-1], strict=True)],
                0.9,
            ),
            at_least(
                "yet from all training sums to 95 % of the others it does not fall but grows, 1.1-fold at least",
                [
                    b / a
                    for a, b in zip(usual.at(usual.norms, fitted), usual.at(usual.norms, solved), strict=True)
                ],
                1.1,
            ),
            mean_at_least(
                "spirals, weight decay 1: when 97 % of the training points are right, at least 0.9 of the others are, "
                "in the mean",
                spirals.at(spirals.test, learned),
                0.9,
            ),
        ],
        columns=(
            "training",
            "steps to all training sums",
            "steps to 95 % of the others",
            "others at the end",
            "norm of the weights at the end",
        ),
        rows=rows,
        figures={
            "curves": draw_panels(
                [
                    Panel(
                        [
                            Curve("train", r.steps, list(zip(*r.train, strict=True)), color=TRAIN),
                            Curve("the others", r.steps, list(zip(*r.test, strict=True)), color=TEST),
                        ],
                        "optimiser step",
                        "accuracy",
                        name,
                    )
                    for name, r in kinds.items()
                ]
            )
        },
        remark=(
            f"Addition modulo {MODULUS}, a quadratic network of {WIDTH} units, full-batch AdamW with beta2 = 0.98; "
            "inf: not every seed got there. Weights that begin large are said to shrink before the gap closes (Liu et "
            "al. 2023); these begin small, and grow less than without decay. The gap at the moment at which a training "
            "set is fitted need not be the gap to come."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps = 100 if quick else 1500
    return judge(
        {decay: measure(seeds, num_steps, decay) for decay in DECAYS},
        measure(seeds, num_steps, 1.0, share=0.3),
        measure_spirals(seeds, num_steps, 1.0),
    )


PHENOMENON = Phenomenon(
    title="Grokking: a gap that closes late",
    claim=(
        "On modular addition a network knows all training sums at once and none of the others; many steps later it "
        "knows them all. Weight decay brings that about, and enough sums are needed. On "
        "spirals it does not happen: what fits them answers others at once."
    ),
    reference="Power et al. 2022; Gromov 2023 (quadratic networks)",
    run=run,
)
