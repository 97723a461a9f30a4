"""Deeper and wider is not always better: accuracy and loss over a grid of plain networks."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.networks import num_parameters
from gaplab.phenomena.training import build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, at_most

DEPTHS = (1, 2, 4, 8, 16, 32)
WIDTHS = (4, 16, 64)
NOISE = 0.4


class Result(NamedTuple):
    """A network size: its parameters and, a value a seed, accuracies and the test loss."""

    num_parameters: int
    train: list[float]
    test: list[float]
    loss: list[float]


def measure(depth: int, width: int, seeds: Sequence[int], num_steps: int) -> Result:
    """Train plain ReLU networks with PyTorch's initialisation on 300 points."""
    train, test = draw_spirals(seeds, 300, noise=NOISE), draw_spirals(seeds, 5000, "test", noise=NOISE)
    networks = build_networks(seeds, [width] * depth)
    networks.train(*train, num_steps=num_steps, lr=1e-2)
    size = num_parameters(networks.template)
    return Result(size, networks.accuracy(*train), networks.accuracy(*test), networks.loss(*test))


def judge(results: dict[tuple[int, int], Result]) -> Verdict:
    """``results[depth, width]``."""
    depths, widths = sorted({d for d, _ in results}), sorted({w for _, w in results})
    largest = results[depths[-1], widths[-1]]
    shallow = results[2, widths[-1]]
    moderate = results[2, 16]
    lead = [a - b for a, b in zip(shallow.test, largest.test, strict=True)]
    best = [max(values) for values in zip(*(result.test for result in results.values()), strict=True)]
    lost = [a - b for a, b in zip(best, moderate.test, strict=True)]
    rows: list[Row] = [
        (depth, width, r.num_parameters, *(statistics.mean(v) for v in (r.train, r.test, r.loss)))
        for (depth, width), r in results.items()
    ]
    return Verdict(
        checks=[
            at_least(
                f"2 layers of {widths[-1]} beat {depths[-1]} such layers by 0.3 in test accuracy", lead, 0.3
            ),
            at_most(
                f"{depths[-1]} layers do not even fit their training set (accuracy below 0.5)",
                largest.train,
                0.5,
            ),
            at_most(
                f"of the best accuracy in the grid, 2 x 16 ({moderate.num_parameters} parameters) misses at most 0.04",
                lost,
                0.04,
            ),
        ],
        columns=("hidden layers", "width", "parameters", "train accuracy", "test accuracy", "test loss"),
        rows=rows,
        figures={
            "grid": draw_panels(
                [
                    Panel(
                        [Curve(f"width {w}", depths, _by_seed(results, depths, w, part)) for w in widths],
                        "hidden layers",
                        label,
                        log="x",
                    )
                    for part, label in (("test", "test accuracy"), ("loss", "test cross-entropy (nats)"))
                ]
            )
        },
        remark=(
            "Depth fails here through optimisation, not overfitting: plain blocks with PyTorch's "
            "initialisation lose their gradient (see vanishing_gradients). Where training succeeds, more "
            "weights change accuracy little and mostly raise the test loss."
        ),
    )


def _by_seed(
    results: dict[tuple[int, int], Result], depths: Sequence[int], width: int, part: str
) -> list[tuple[float, ...]]:
    return list(zip(*(getattr(results[depth, width], part) for depth in depths), strict=True))


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    depths, widths, num_steps = ((1, 2, 8), (4, 16), 100) if quick else (DEPTHS, WIDTHS, 400)
    return judge({(d, w): measure(d, w, seeds, num_steps) for d in depths for w in widths})


PHENOMENON = Phenomenon(
    title="Deeper and wider is not always better",
    claim="At equal data, adding layers and units improves a plain network only up to a point; then it fails.",
    reference="He et al. 2016 (degradation of plain deep networks)",
    run=run,
)
