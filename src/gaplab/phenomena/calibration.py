"""Calibration: what a network's confidence is worth when labels are noisy, and what one number can mend."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Parameters, build_networks, draw_spirals, mean_cross_entropy
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, mean_at_least, mean_at_most

NUM_POINTS, NUM_TEST, NUM_BINS = 150, 3000, 15
NOISES = (0.0, 0.2, 0.4)
EVERY = 50
TEMPERATURES = torch.logspace(-1, 2, 301)


class Result(NamedTuple):
    """A training with one share of wrong labels; lists are [evaluation][seed]."""

    steps: list[int]
    val_loss: list[list[float]]
    accuracy: list[list[float]]
    """On test labels as noisy as those of training: no classifier can exceed the share of right ones."""
    error: list[list[float]]
    """Expected calibration error on the same labels."""
    loss: list[list[float]]
    scaled_error: list[list[float]]
    """The calibration error after temperature scaling on validation labels."""
    scaled_loss: list[list[float]]

    def stopped(self, name: str) -> list[float]:
        """A quantity [seed] at the least validation loss."""
        values = getattr(self, name)
        best = [
            min(range(len(self.steps)), key=losses.__getitem__) for losses in zip(*self.val_loss, strict=True)
        ]
        return [values[place][seed] for seed, place in enumerate(best)]


def best_temperature(logits: Tensor, labels: Tensor) -> Tensor:
    """Temperature [K] by which the logits [K, P, C] are divided for the least cross-entropy, from a fine grid."""
    losses = torch.stack([mean_cross_entropy(logits / temperature, labels) for temperature in TEMPERATURES])
    return TEMPERATURES[losses.argmin(dim=0)]


def calibration_errors(logits: Tensor, labels: Tensor) -> list[float]:
    """Expected calibration error of each network: mean |accuracy − confidence| over bins of confidence."""
    return [
        float(multiclass_calibration_error(one.softmax(-1), true, logits.shape[-1], n_bins=NUM_BINS))
        for one, true in zip(logits, labels, strict=True)
    ]


def measure(seeds: Sequence[int], noise: float, num_steps: int) -> Result:
    train, val, test = (
        draw_spirals(seeds, size, split, label_noise=noise)
        for split, size in (("train", NUM_POINTS), ("val", NUM_POINTS), ("test", NUM_TEST))
    )
    networks = build_networks(seeds, [100, 100])
    result = Result([], [], [], [], [], [], [])

    def observe(step: int, parameters: Parameters) -> None:
        with torch.no_grad():
            logits, val_logits = (networks.logits(points, parameters) for points in (test[0], val[0]))
        scaled = logits / best_temperature(val_logits, val[1])[:, None, None]
        result.steps.append(step)
        result.val_loss.append(mean_cross_entropy(val_logits, val[1]).tolist())
        result.accuracy.append(networks.accuracy(*test, parameters))
        for found, error, loss in (
            (logits, result.error, result.loss),
            (scaled, result.scaled_error, result.scaled_loss),
        ):
            error.append(calibration_errors(found, test[1]))
            loss.append(mean_cross_entropy(found, test[1]).tolist())

    networks.train(*train, num_steps=num_steps, lr=5e-3, observe=observe, observe_every=EVERY)
    return result


def judge(results: dict[float, Result]) -> Verdict:
    """``results`` by the share of wrong labels."""
    none, some, many = (results[noise] for noise in NOISES)
    rows: list[Row] = []
    for noise, result in results.items():
        last = {name: getattr(result, name)[-1] for name in Result._fields}
        stopped = {name: result.stopped(name) for name in Result._fields if name != "steps"}
        for when, found in (("stopped early", stopped), ("at the end", last)):
            names = ("accuracy", "error", "scaled_error", "loss", "scaled_loss")
            rows.append((f"{noise:.0%}", when, *(fmean(found[name]) for name in names)))
    return Verdict(
        checks=[
            mean_at_most(
                "no wrong labels: calibration error at the end at most 0.04 in the mean", none.error[-1], 0.04
            ),
            at_least("40 % wrong labels: calibration error at the end at least 0.25", many.error[-1], 0.25),
            mean_at_least(
                "longer training made it worse: by at least 0.1 in the mean since the least validation loss",
                [a - b for a, b in zip(many.error[-1], many.stopped("error"), strict=True)],
                0.1,
            ),
            mean_at_most(
                "one temperature, fitted on validation labels, brings it to at most 0.12 in the mean",
                many.scaled_error[-1],
                0.12,
            ),
            mean_at_least(
                "20 % wrong labels: the temperature lowers the log loss by at least 0.5 nats in the mean",
                [a - b for a, b in zip(some.loss[-1], some.scaled_loss[-1], strict=True)],
                0.5,
            ),
            mean_at_least(
                "but leaves a calibration error of at least 0.05 in the mean", some.scaled_error[-1], 0.05
            ),
        ],
        columns=(
            "wrong labels",
            "training",
            "accuracy",
            "calibration error",
            "with temperature",
            "log loss",
            "with temperature ",
        ),
        rows=rows,
        figures={
            "error": draw_panels(
                [
                    Panel(
                        [
                            Curve("as trained", result.steps, list(zip(*result.error, strict=True))),
                            Curve(
                                "with temperature", result.steps, list(zip(*result.scaled_error, strict=True))
                            ),
                        ],
                        "optimiser step",
                        "expected calibration error",
                        f"{noise:.0%} wrong labels",
                        limits=(0, 0.6),
                    )
                    for noise, result in results.items()
                ],
                columns=3,
            )
        },
        remark=(
            f"{NUM_POINTS} training and as many validation points; test labels are as noisy as theirs. A network that "
            "knows wrong labels by heart is sure of all its answers. A temperature makes it less sure of all of them "
            "alike, and cannot tell an answer that was learned from one that was memorised: where most answers are "
            "right it trades one error for another."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps = 100 if quick else 1500
    return judge({noise: measure(seeds, noise, num_steps) for noise in NOISES})


PHENOMENON = Phenomenon(
    title="Calibration under label noise",
    claim=(
        "A network that memorises wrong labels is far surer than it is right, and the more so the longer it is "
        "trained. One temperature mends the log loss, and the calibration error only where much of "
        "what it says is noise."
    ),
    reference="Guo et al. 2017 (temperature scaling); Naeini et al. 2015 (expected calibration error)",
    run=run,
)
