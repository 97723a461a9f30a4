"""Universal approximation: training accuracy against width, up to the ceiling that the points set."""

import itertools
from collections.abc import Sequence

from gaplab.data.spirals import sample_spirals
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import build_networks
from gaplab.phenomena.verdict import Check, Phenomenon, Verdict, at_least, at_most
from gaplab.randomness import make_generator

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)
POINTS_PER_ARM = 300
CEILING = 1 - 2 / (3 * POINTS_PER_ARM)
"""The three arms share the origin, so two of the three points there are wrong whatever the network."""


def measure(width: int, seeds: Sequence[int], num_steps: int) -> list[float]:
    """Training accuracy of 2-H-3 ReLU networks on the noiseless spiral, one a seed."""
    points, labels = sample_spirals(
        3 * POINTS_PER_ARM, noise=0.0, sampling="grid", generator=make_generator(0, "points")
    )
    networks = build_networks(seeds, [width])
    stacked = points.expand(len(seeds), -1, -1), labels.expand(len(seeds), -1)
    networks.train(*stacked, num_steps=num_steps, lr=1e-2)
    return networks.accuracy(*stacked)


def judge(widths: Sequence[int], accuracies: list[list[float]]) -> Verdict:
    """``accuracies[width][seed]``."""
    means = [sum(values) / len(values) for values in accuracies]
    drops = [max(0.0, a - b) for a, b in itertools.pairwise(means)]
    return Verdict(
        checks=[
            Check(
                expectation="mean accuracy grows with every doubling of the width (to 0.005)",
                measured=f"largest drop {max(drops):.4f}",
                holds=max(drops) <= 0.005,
            ),
            at_most("2 hidden units stay below 0.75", accuracies[1], 0.75),
            at_least(f"{widths[-1]} hidden units come within 0.01 of it", accuracies[-1], CEILING - 0.01),
        ],
        witnesses=[
            at_most(
                f"no network exceeds the ceiling {CEILING:.4f}",
                [value for values in accuracies for value in values],
                CEILING + 1e-9,
            )
        ],
        columns=("hidden units", "parameters", "accuracy (mean)", "least", "greatest"),
        rows=[
            (width, 6 * width + 3, mean, min(values), max(values))
            for width, mean, values in zip(widths, means, accuracies, strict=True)
        ],
        figures={
            "width": draw_panels(
                [
                    Panel(
                        [Curve("2-H-3, ReLU", widths, list(zip(*accuracies, strict=True)))],
                        "hidden units H",
                        "training accuracy",
                        log="x",
                        lines=[(f"ceiling {CEILING:.4f}", CEILING)],
                    )
                ]
            )
        },
        remark=(
            "The theorem promises that some weights exist. What is measured is what gradient descent finds "
            "in a fixed number of steps, which is less."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    widths = (2, 8, 32) if quick else WIDTHS
    return judge(widths, [measure(width, seeds, 300 if quick else 3000) for width in widths])


PHENOMENON = Phenomenon(
    title="Universal approximation: wide enough is enough",
    claim=(
        "One hidden layer approximates any continuous function if it is wide enough: accuracy on the "
        "noiseless spiral rises with the width up to the ceiling."
    ),
    reference="Cybenko 1989; Hornik 1991; Leshno et al. 1993",
    run=run,
)
