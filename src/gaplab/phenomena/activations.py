"""The menu of activation functions: their slopes, and what gradient descent can do with each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gaplab.figures.phenomena import Curve, Panel, draw_dots, draw_panels
from gaplab.networks import ACTIVATIONS, build_activation
from gaplab.phenomena.training import build_networks, draw_spirals
from gaplab.phenomena.verdict import Check, Phenomenon, Verdict, at_least, at_most

WIDTHS = (10, 10)
CLASSICAL = ("identity", "ramp", "step", "sign", "sigmoid", "tanh", "relu")
ESTIMATED = ("step_ste", "sign_ste")
"""Their derivative is a stand-in on purpose; no difference quotient can confirm it."""


def slopes(name: str, x: Tensor) -> Tensor:
    """Derivative that autograd gives at each x."""
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(build_activation(name)(x).sum(), x)
    return slope


def measure(name: str, seeds: Sequence[int], num_steps: int) -> dict[str, list[float]]:
    """Train 2-10-10-3 on 300 points: how far the hidden weights went, and the accuracies."""
    networks = build_networks(seeds, WIDTHS, activation=name)
    before = networks.parameters
    points, labels = draw_spirals(seeds, 300)
    networks.train(points, labels, num_steps=num_steps)
    moved = [
        (networks.parameters[key] - before[key]).flatten(1).square().sum(dim=1)
        for key in before
        if key.startswith("hidden")
    ]
    return {
        "moved": torch.stack(moved).sum(dim=0).sqrt().tolist(),
        "train": networks.accuracy(points, labels),
        "test": networks.accuracy(*draw_spirals(seeds, 3000, "test")),
    }


def judge(results: dict[str, dict[str, list[float]]]) -> Verdict:
    def lead(better: str, worse: str) -> list[float]:
        pairs = zip(results[better]["test"], results[worse]["test"], strict=True)
        return [a - b for a, b in pairs]

    frozen = [value for name in ("step", "sign") for value in results[name]["moved"]]
    others = [value for name, r in results.items() if name not in ("step", "sign") for value in r["moved"]]
    x = torch.linspace(-4, 4, 801, dtype=torch.float64)
    sigmoid = x.sigmoid()
    identity_error = float((slopes("sigmoid", x) - sigmoid * (1 - sigmoid)).abs().max())
    witnesses = [
        at_most("step and sign, whose slope is 0: hidden weights do not move at all", frozen, 0.0),
        Check(
            expectation="sigmoid' = sigmoid (1 - sigmoid), at most 1/4",
            measured=f"largest error {identity_error:.1e}, largest slope {slopes('sigmoid', x).max():.4g}",
            holds=identity_error < 1e-15 and float(slopes("sigmoid", x).max()) <= 0.25,
        ),
    ]
    checks = [
        at_least("every other activation: hidden weights move", others, 1e-3),
        at_least("test accuracy: straight-through step beats step", lead("step_ste", "step"), 1e-9),
        at_least("test accuracy: straight-through sign beats sign", lead("sign_ste", "sign"), 1e-9),
        at_least("test accuracy: ReLU beats identity by 0.2", lead("relu", "identity"), 0.2),
    ]
    names = sorted(results, key=lambda name: -sum(results[name]["test"]))
    mean = {name: {key: sum(values) / len(values) for key, values in results[name].items()} for name in names}
    return Verdict(
        checks=checks,
        witnesses=witnesses,
        columns=("activation", "distance of the hidden weights", "train accuracy", "test accuracy"),
        rows=[(name, mean[name]["moved"], mean[name]["train"], mean[name]["test"]) for name in names],
        figures={
            "accuracy": draw_dots(
                names,
                {split: [results[name][split] for name in names] for split in ("train", "test")},
                xlabel="accuracy of 2-10-10-3, one dot a seed",
            ),
            "menu": _draw_menu(),
        },
        remark=(
            "A network of steps still learns something, because its output layer is a linear classifier on "
            "random features. The straight-through estimator puts the slope of the ramp in place of the zero."
        ),
    )


def _draw_menu():  # type: ignore[no-untyped-def]
    x = torch.linspace(-3, 3, 601)
    panels = [
        Panel(
            [
                Curve("value", x.tolist(), [build_activation(name)(x).detach().tolist()]),
                Curve("slope", x.tolist(), [slopes(name, x).tolist()], dashed=True),
            ],
            "x",
            "",
            name,
            limits=(-1.3, 2.0),
        )
        for name in (*CLASSICAL, "step_ste")
    ]
    return draw_panels(panels, columns=4)


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    names = CLASSICAL + ESTIMATED if quick else tuple(ACTIVATIONS)
    return judge({name: measure(name, seeds, 300 if quick else 1000) for name in names})


PHENOMENON = Phenomenon(
    title="The menu of activations, and why step and sign do not learn",
    claim=(
        "Step and sign have slope 0 wherever they have one, so gradient descent cannot move the weights "
        "below them; with a straight-through slope it can. Any other non-linearity learns."
    ),
    reference="Bengio, Léonard and Courville 2013 (straight-through estimator); Hubara et al. 2016",
    run=run,
)
