"""Edge of stability: gradient descent sharpens the loss until its steps are as large as they can be."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import one_hot

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.metrics.capacity.curvature import flatten_parameters, hessian
from gaplab.phenomena.training import Networks, Parameters, build_networks, draw_spirals, mean_squared_error
from gaplab.phenomena.verdict import (
    Phenomenon,
    Row,
    Verdict,
    at_least,
    at_most,
    mean_at_least,
    mean_at_most,
)

NUM_POINTS, WIDTHS = 60, (16, 16)
RATES = {0.4: 3000, 0.2: 4500}
"""Learning rates, and how many steps each is given."""
EVERY = 100
"""Steps between two measurements of sharpness."""


class Result(NamedTuple):
    """A training at one learning rate."""

    steps: list[int]
    sharpness: list[list[float]]
    """The greatest eigenvalue of the Hessian of the training loss [measurement][seed]."""
    losses: list[list[float]]
    """Training loss [step][seed]."""

    def late(self) -> list[float]:
        """Mean sharpness [seed] over the last third of the training."""
        return [fmean(values[-len(values) // 3 :]) for values in zip(*self.sharpness, strict=True)]

    def rises(self) -> list[float]:
        """Share of steps [seed] that raise the loss."""
        return [
            fmean(after > before for before, after in pairwise(losses))
            for losses in zip(*self.losses, strict=True)
        ]


def sharpness(networks: Networks, parameters: Parameters, points: Tensor, targets: Tensor) -> list[float]:
    """The greatest eigenvalue of each network's Hessian of the mean squared error, exactly.

    Infinite where the weights are.
    """
    values = []
    for k, (x, y) in enumerate(zip(points, targets, strict=True)):
        vector, unflatten = flatten_parameters(
            {name: value[k].detach() for name, value in parameters.items()}
        )

        def loss(vector: Tensor) -> Tensor:
            outputs = functional_call(networks.template, unflatten(vector), (x,))  # noqa: B023
            return (outputs - y).square().mean()  # noqa: B023

        curvature = hessian(loss, vector, chunk_size=32)
        finite = bool(curvature.isfinite().all())
        values.append(float(torch.linalg.eigvalsh(curvature)[-1]) if finite else math.inf)
    return values


def measure(seeds: Sequence[int], rate: float, num_steps: int) -> Result:
    """Train 2-16-16-2 tanh networks by full-batch gradient descent on the squared error."""
    points, labels = draw_spirals(seeds, NUM_POINTS, num_arms=2)
    targets = one_hot(labels, 2).float()
    networks = build_networks(seeds, WIDTHS, activation="tanh", out_features=2)
    result = Result([], [], [])

    def observe(step: int, parameters: Parameters) -> None:
        with torch.no_grad():
            result.losses.append(mean_squared_error(networks.logits(points, parameters), targets).tolist())
        if step % EVERY == 0:
            result.steps.append(step)
            result.sharpness.append(sharpness(networks, parameters, points, targets))

    networks.train(
        points,
        targets,
        num_steps=num_steps,
        lr=rate,
        loss=mean_squared_error,
        descent=True,
        observe=observe,
        observe_every=1,
    )
    return result


def judge(results: dict[float, Result]) -> Verdict:
    """``results`` by learning rate, the greater one first."""
    fast, slow = results.values()
    small = min(results)
    in_units = [[value * rate / 2 for value in result.late()] for rate, result in results.items()]
    falls = [
        [losses[-1] / losses[-len(losses) // 3] for losses in zip(*result.losses, strict=True)]
        for result in results.values()
    ]
    rows: list[Row] = [
        (
            rate,
            2 / rate,
            fmean(result.sharpness[0]),
            fmean(result.late()),
            fmean(result.rises()),
            fmean(result.losses[-1]),
        )
        for rate, result in results.items()
    ]
    return Verdict(
        checks=[
            at_most(
                f"rate {small:g}: at the start the sharpness is at most 0.6 of 2/η",
                [value * small / 2 for value in slow.sharpness[0]],
                0.6,
            ),
            mean_at_least(
                "in the last third it is in the mean at least 0.9 of 2/η (over both rates)",
                _over_rates(in_units),
                0.9,
            ),
            at_most("and at most 1.1 at each rate", [value for values in in_units for value in values], 1.1),
            at_least(
                "so that half the rate ends at least 1.8 times as sharp",
                [b / a for a, b in zip(fast.late(), slow.late(), strict=True)],
                1.8,
            ),
            mean_at_least(
                "of all steps at least 3 % raise the loss in the mean (over both rates)",
                _over_rates([fast.rises(), slow.rises()]),
                0.03,
            ),
            mean_at_most(
                "yet over the last third it falls: its end over its begin, in the mean at most 0.95 (over both rates)",
                _over_rates(falls),
                0.95,
            ),
        ],
        columns=(
            "learning rate η",
            "2/η",
            "sharpness at the start",
            "in the last third",
            "steps that raise the loss",
            "training loss at the end",
        ),
        rows=rows,
        figures={
            "sharpness": draw_panels(
                [
                    Panel(
                        [Curve("sharpness", result.steps, list(zip(*result.sharpness, strict=True)))],
                        "optimiser step",
                        "greatest eigenvalue of the Hessian",
                        f"gradient descent, η = {rate:g}",
                        lines=[("2/η", 2 / rate)],
                    )
                    for rate, result in results.items()
                ]
            )
        },
        remark=(
            f"{NUM_POINTS} points of two arms, tanh networks 2-16-16-2, squared error; the loss is measured at every "
            "step, the Hessian is exact. On a quadratic function steps diverge where the sharpness exceeds 2/η; here "
            "the loss oscillates there, and the sharpness stays. How sharp a minimum is says as much about the step "
            "size as about the network."
        ),
    )


def _over_rates(values: Sequence[Sequence[float]]) -> list[float]:
    """One number a seed: what it has at the two rates is not independent."""
    return [fmean(of_seed) for of_seed in zip(*values, strict=True)]


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    return judge({rate: measure(seeds, rate, EVERY if quick else steps) for rate, steps in RATES.items()})


PHENOMENON = Phenomenon(
    title="The edge of stability",
    claim=(
        "Full-batch gradient descent with step size η sharpens the training loss until the greatest eigenvalue of its "
        "Hessian is 2/η, and goes on there: the loss rises in some steps and falls over many."
    ),
    reference="Cohen et al. 2021",
    run=run,
)
