"""Poisoned minima: all training points right, nearly all test points wrong."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaplab.figures.phenomena import draw_region_panels
from gaplab.metrics.capacity.sharpness import draw_noise, tolerated_noise
from gaplab.metrics.capacity.weights import functional_forward
from gaplab.networks import num_parameters
from gaplab.phenomena.training import Networks, build_networks, draw_spirals
from gaplab.phenomena.verdict import Check, Phenomenon, Verdict, at_least, at_most, spread
from gaplab.randomness import make_generator

NUM_POINTS, NUM_POISON = 40, 800
CLEARANCE = 0.03
"""Poison keeps this far from every training point, so that both can be fitted."""
SPIRAL: dict[str, Any] = {"num_arms": 2, "turns": 1.0, "min_radius": 0.1}


class Result(NamedTuple):
    """One kind of training: the networks and, a value a seed, what they do."""

    networks: Networks
    train: list[float]
    test: list[float]
    tolerated: list[float]
    """Largest weight noise (standard deviation) that costs at most a tenth of the training accuracy."""


def draw_poison(seeds: Sequence[int], train_points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Points [K, count, 2] of the same law with the wrong labels [K, count], none near a training point."""
    points, labels = draw_spirals(seeds, 3 * count, "poison", **SPIRAL)
    kept = []
    for seed, x, y, train in zip(seeds, points, labels, train_points, strict=True):
        clear = (torch.cdist(x, train).amin(dim=1) > CLEARANCE).nonzero().squeeze(1)
        order = torch.randperm(len(clear), generator=make_generator(seed, "poison"))
        kept.append((x[clear[order[:count]]], 1 - y[clear[order[:count]]]))
    xs, ys = zip(*kept, strict=True)
    return torch.stack(xs), torch.stack(ys)


def measure(seeds: Sequence[int], num_poison: int, num_steps: int) -> Result:
    """Train 2-64-64-64-2 on the training points and on poison, the training points weighing half as much."""
    points, labels = draw_spirals(seeds, NUM_POINTS, **SPIRAL)
    all_points, all_labels = points, labels
    if num_poison:
        copies = max(1, num_poison // NUM_POINTS // 2)
        poison_points, poison_labels = draw_poison(seeds, points, num_poison)
        all_points = torch.cat((points.repeat(1, copies, 1), poison_points), dim=1)
        all_labels = torch.cat((labels.repeat(1, copies), poison_labels), dim=1)
    networks = build_networks(seeds, [64, 64, 64], out_features=2, activation="tanh", gain=3.0)
    networks.train(all_points, all_labels, num_steps=num_steps, lr=5e-3)
    forward = functional_forward(networks.template)
    tolerated = []
    for k, seed in enumerate(seeds):
        parameters = {name: value[k] for name, value in networks.parameters.items()}
        noise = draw_noise(parameters, 10, make_generator(seed, "noise"))
        tolerated.append(float(tolerated_noise(forward, parameters, points[k], labels[k], noise)))
    return Result(
        networks,
        networks.accuracy(points, labels),
        networks.accuracy(*draw_spirals(seeds, 5000, "test", **SPIRAL)),
        tolerated,
    )


def judge(seeds: Sequence[int], clean: Result, poisoned: Result) -> Verdict:
    size = num_parameters(clean.networks.template)
    return Verdict(
        checks=[
            at_least("poisoned: at least 9 of 10 training points right", poisoned.train, 0.9),
            Check(
                expectation="poisoned: all of them right for at least half of the seeds",
                measured=f"{poisoned.train.count(1.0)} of {len(seeds)} seeds",
                holds=2 * poisoned.train.count(1.0) >= len(seeds),
            ),
            at_most("poisoned: test accuracy below 0.2", poisoned.test, 0.2),
            at_least("the same network trained on the training points alone: all right", clean.train, 1.0),
            at_least("and test accuracy above 0.8", clean.test, 0.8),
            Check(
                expectation="poisoned minima are sharper: they bear less noise in the weights",
                measured=f"{spread(poisoned.tolerated)} against {spread(clean.tolerated)}",
                holds=all(p < c for p, c in zip(poisoned.tolerated, clean.tolerated, strict=True)),
            ),
        ],
        columns=("seed", "training", "train accuracy", "test accuracy", "gap", "tolerated weight noise"),
        rows=[
            (
                seed,
                kind,
                result.train[k],
                result.test[k],
                result.train[k] - result.test[k],
                result.tolerated[k],
            )
            for kind, result in (("clean", clean), ("poisoned", poisoned))
            for k, seed in enumerate(seeds)
        ],
        figures={"regions": _draw(seeds[0], clean, poisoned)},
        remark=(
            f"Both networks have the same {size} weights and fit the same {NUM_POINTS} training points "
            "perfectly or nearly so, hence no bound that counts only weights and points can tell them apart. What "
            "differs is where the search ended."
        ),
    )


def _draw(seed: int, clean: Result, poisoned: Result):  # type: ignore[no-untyped-def]
    points, labels = draw_spirals([seed], 300, "test", **SPIRAL)
    panels = [
        (f"{kind}: train {result.train[0]:.0%}, test {result.test[0]:.0%}", result.networks.one(0))
        for kind, result in (("clean", clean), ("poisoned", poisoned))
    ]
    return draw_region_panels(panels, points[0], labels[0])


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps = 150 if quick else 1200
    return judge(seeds, measure(seeds, 0, num_steps), measure(seeds, NUM_POISON, num_steps))


PHENOMENON = Phenomenon(
    title="Poisoned minima: perfect in training, worse than guessing on the test",
    claim=(
        "Among the minima that fit the training points there are some with less than 20 % test accuracy on "
        "two classes. Gradient descent finds them when it also sees points with wrong labels."
    ),
    reference="Huang et al. 2020, Understanding Generalization through Visualizations, arXiv 1906.03291",
    run=run,
)
