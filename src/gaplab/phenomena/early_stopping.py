"""Overfitting and early stopping: with wrong labels the best network is an early one."""

from collections.abc import Sequence

from gaplab.figures.palette import TEST, TRAIN, VAL
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, mean_at_least

LABEL_NOISE = 0.4
EVERY = 20

History = dict[str, list[list[float]]]
"""``history[quantity][evaluation][seed]``."""


def measure(seeds: Sequence[int], num_steps: int) -> tuple[list[int], History]:
    """Train 2-100-100-3 on 300 points with wrong labels; validation labels are as wrong, test labels true."""
    train = draw_spirals(seeds, 300, label_noise=LABEL_NOISE)
    val = draw_spirals(seeds, 1000, "val", label_noise=LABEL_NOISE)
    test = draw_spirals(seeds, 5000, "test")
    networks = build_networks(seeds, [100, 100])
    steps: list[int] = []
    history: History = {"loss/train": [], "loss/val": [], "accuracy/train": [], "accuracy/test": []}

    def observe(step: int, parameters: Parameters) -> None:
        steps.append(step)
        history["loss/train"].append(networks.loss(*train, parameters))
        history["loss/val"].append(networks.loss(*val, parameters))
        history["accuracy/train"].append(networks.accuracy(*train, parameters))
        history["accuracy/test"].append(networks.accuracy(*test, parameters))

    networks.train(*train, num_steps=num_steps, lr=3e-3, observe=observe, observe_every=EVERY)
    return steps, history


def judge(seeds: Sequence[int], steps: list[int], history: History) -> Verdict:
    curves = {name: list(zip(*values, strict=True)) for name, values in history.items()}
    best = [min(range(len(steps)), key=losses.__getitem__) for losses in curves["loss/val"]]
    stopped = [accuracy[b] for accuracy, b in zip(curves["accuracy/test"], best, strict=True)]
    final = [accuracy[-1] for accuracy in curves["accuracy/test"]]
    train_fall = [loss[b] - loss[-1] for loss, b in zip(curves["loss/train"], best, strict=True)]
    val_rise = [loss[-1] - loss[b] for loss, b in zip(curves["loss/val"], best, strict=True)]
    rows: list[Row] = [
        (seed, steps[b], early, late, early - late, curves["accuracy/train"][k][-1])
        for k, (seed, b, early, late) in enumerate(zip(seeds, best, stopped, final, strict=True))
    ]
    return Verdict(
        checks=[
            at_least(
                "after the best validation loss, training loss still falls by 0.2 nats", train_fall, 0.2
            ),
            at_least("while validation loss rises by 0.2 nats (overfitting)", val_rise, 0.2),
            mean_at_least(
                "test accuracy of the best-validation weights exceeds that of the last ones by 0.1 in the mean",
                [early - late for early, late in zip(stopped, final, strict=True)],
                0.1,
            ),
        ],
        columns=("seed", "best step", "test there", "test at the end", "difference", "train at the end"),
        rows=rows,
        figures={
            "curves": draw_panels(
                [
                    Panel(
                        [
                            Curve(name, steps, curves[f"loss/{name}"], color=color)
                            for name, color in (("train", TRAIN), ("val", VAL))
                        ],
                        "optimiser step",
                        "cross-entropy (nats)",
                        marks=[("least validation loss (first seed)", steps[best[0]])],
                    ),
                    Panel(
                        [
                            Curve("train (wrong labels)", steps, curves["accuracy/train"], color=TRAIN),
                            Curve("test (true labels)", steps, curves["accuracy/test"], color=TEST),
                        ],
                        "optimiser step",
                        "accuracy",
                        lines=[(f"right training labels: {1 - LABEL_NOISE:.0%}", 1 - LABEL_NOISE)],
                    ),
                ]
            )
        },
        remark=(
            f"{LABEL_NOISE:.0%} of the training and of the validation labels are wrong; the stopping rule "
            "sees only those. Test labels are true, so that accuracy there measures what was learned. How much a "
            "single network gains is chance: validation loss and accuracy need not be best at the same step."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    return judge(seeds, *measure(seeds, 400 if quick else 2000))


PHENOMENON = Phenomenon(
    title="Overfitting and early stopping",
    claim=(
        "Training beyond the least validation loss fits the wrong labels; the weights at that point classify "
        "unseen points far better than the last ones in the mean."
    ),
    reference="Prechelt 1998, Early Stopping — But When?",
    run=run,
)
