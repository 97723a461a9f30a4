"""Label noise and memorisation: a network fits labels that mean nothing, only more slowly."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from gaplab.figures.palette import TEST, TRAIN
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import Check, Phenomenon, Verdict, at_least, mean_at_least, mean_at_most, spread

NUM_POINTS = 150
LABEL_NOISE = (0.0, 0.2, 0.4, 0.6)
EVERY = 20
FITTED = 0.99


class Result(NamedTuple):
    """A condition: final accuracies a seed, steps until 99 % of the training labels, and the way there."""

    train: list[float]
    test: list[float]
    stopped: list[float]
    """Test accuracy at the least loss on validation points whose labels are as noisy."""
    fitted_at: list[float]
    """NaN where it never happened."""
    steps: list[int]
    curves: list[list[float]]
    """Training accuracy [seed][evaluation]."""


def measure(seeds: Sequence[int], label_noise: float | None, num_steps: int) -> Result:
    """Train 2-100-100-3 on 150 points; ``label_noise`` None draws all labels at random."""
    corruption: dict[str, Any] = (
        {"random_labels": True} if label_noise is None else {"label_noise": label_noise}
    )
    train = draw_spirals(seeds, NUM_POINTS, **corruption)
    val = draw_spirals(seeds, 500, "val", **corruption)
    test = draw_spirals(seeds, 2000, "test")
    # Wide initial weights: they let the network bend quickly enough to go round single points.
    networks = build_networks(seeds, [100, 100], activation="tanh", gain=4.0)
    steps: list[int] = []
    seen: dict[str, list[list[float]]] = {"train": [], "val": [], "test": []}

    def observe(step: int, parameters: Parameters) -> None:
        steps.append(step)
        seen["train"].append(networks.accuracy(*train, parameters))
        seen["val"].append(networks.loss(*val, parameters))
        seen["test"].append(networks.accuracy(*test, parameters))

    networks.train(*train, num_steps=num_steps, lr=5e-3, observe=observe, observe_every=EVERY)
    curves = {name: [list(values) for values in zip(*rows, strict=True)] for name, rows in seen.items()}
    best = [min(range(len(steps)), key=losses.__getitem__) for losses in curves["val"]]
    reached = [
        next((float(step) for step, value in zip(steps, curve, strict=True) if value >= FITTED), float("nan"))
        for curve in curves["train"]
    ]
    return Result(
        train=[curve[-1] for curve in curves["train"]],
        test=[curve[-1] for curve in curves["test"]],
        stopped=[curve[b] for curve, b in zip(curves["test"], best, strict=True)],
        fitted_at=reached,
        steps=steps,
        curves=curves["train"],
    )


def judge(results: dict[str, Result]) -> Verdict:
    """``results`` by condition; "true labels", "random labels" and "40 % wrong" must be among them."""
    random, true, noisy = results["random labels"], results["true labels"], results["40 % wrong"]
    slower = [a / b for a, b in zip(random.fitted_at, true.fitted_at, strict=True)]
    kept = [a - b for a, b in zip(noisy.stopped, noisy.test, strict=True)]
    noise = [(result, name) for name, result in results.items() if name != "random labels"]
    shares = LABEL_NOISE[: len(noise)]
    return Verdict(
        checks=[
            at_least("random labels: at least 99 % of the training set fitted", random.train, FITTED),
            mean_at_most(
                "random labels: mean test accuracy at most 0.45, where guessing has 1/3", random.test, 0.45
            ),
            at_least("true labels, same network: test accuracy above 0.95", true.test, 0.95),
            at_least("random labels take at least 1.5 times as many steps to 99 %", slower, 1.5),
            mean_at_least(
                "40 % wrong labels: the early network beats the last one by 0.1 in the mean", kept, 0.1
            ),
            Check(
                expectation=(
                    "the early network outvotes the noise: its test accuracy exceeds the share of "
                    "right labels"
                ),
                measured=f"{spread(noisy.stopped)} against 0.6",
                holds=all(value > 0.6 for value in noisy.stopped),
            ),
        ],
        columns=(
            "training labels",
            "train at the end",
            "test at the end",
            "test, stopped early",
            "steps to 99 %",
        ),
        rows=[
            (name, fmean(r.train), fmean(r.test), fmean(r.stopped), fmean(r.fitted_at))
            for name, r in results.items()
        ],
        figures={
            "memorization": draw_panels(
                [
                    Panel(
                        [Curve(name, result.steps, result.curves) for name, result in results.items()],
                        "optimiser step",
                        "training accuracy",
                    ),
                    Panel(
                        [
                            Curve(
                                "train, last weights",
                                shares,
                                _by_seed(r.train for r, _ in noise),
                                color=TRAIN,
                            ),
                            Curve(
                                "test, last weights", shares, _by_seed(r.test for r, _ in noise), color=TEST
                            ),
                            Curve(
                                "test, stopped early",
                                shares,
                                _by_seed(r.stopped for r, _ in noise),
                                dashed=True,
                                color=TEST,
                            ),
                        ],
                        "share of wrong training labels",
                        "accuracy",
                    ),
                ]
            )
        },
        remark=(
            "Since the same network fits true and random labels, its size alone cannot explain why it "
            "generalises on the true ones. A step count of nan: not every seed reached 99 %."
        ),
    )


def _by_seed(rows) -> list[tuple[float, ...]]:  # type: ignore[no-untyped-def]
    return list(zip(*rows, strict=True))


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps = 200 if quick else 2000
    conditions: dict[str, float | None] = {
        ("true labels" if share == 0 else f"{share * 100:.0f} % wrong"): share for share in LABEL_NOISE
    }
    conditions["random labels"] = None
    return judge({name: measure(seeds, share, num_steps) for name, share in conditions.items()})


PHENOMENON = Phenomenon(
    title="Memorisation of random labels",
    claim=(
        "The network that generalises on true labels also fits random ones, to chance on the test and in "
        "more steps; simple patterns are learned before the noise."
    ),
    reference=(
        "Zhang et al. 2017, Understanding deep learning requires rethinking generalization; Arpit et al. 2017"
    ),
    run=run,
)
