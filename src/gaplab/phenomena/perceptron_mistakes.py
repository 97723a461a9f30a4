"""Novikoff's theorem: on separable data the perceptron errs at most (R/γ)² times."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.verdict import Check, Phenomenon, Row, Verdict, at_most
from gaplab.randomness import make_generator

MARGINS = (0.3, 0.1, 0.03, 0.01, 0.003)


def sample_separable(
    num_points: int, margin: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Uniform points of the unit disc, none closer than ``margin`` to a random line through the origin.

    Returns:
        Points [P, 2] float64, signs [P] in ±1, and the unit normal [2] of the line.
    """
    angle = 2 * math.pi * torch.rand((), generator=generator, dtype=torch.float64)
    normal = torch.stack((angle.cos(), angle.sin()))
    kept = torch.empty(0, 2, dtype=torch.float64)
    while len(kept) < num_points:
        square = 2 * torch.rand(4 * num_points, 2, generator=generator, dtype=torch.float64) - 1
        fit = (square.norm(dim=1) <= 1) & ((square @ normal).abs() >= margin)
        kept = torch.cat((kept, square[fit]))
    points = kept[:num_points]
    return points, (points @ normal).sign(), normal


def count_mistakes(points: Tensor, signs: Tensor) -> int:
    """Updates of w ← w + y·x, going round the points [P, D] until all are right; w starts at 0."""
    signed = points * signs[:, None]
    weights, mistakes, position = torch.zeros_like(points[0]), 0, 0
    while True:
        wrong = signed @ weights <= 0
        if not wrong.any():
            return mistakes
        ahead = torch.cat((wrong[position:], wrong[:position])).nonzero()[0]
        position = (position + int(ahead)) % len(points)
        weights = weights + signed[position]
        mistakes, position = mistakes + 1, position + 1


def measure(seed: int, margin: float, num_points: int = 2000) -> tuple[int, float]:
    """Mistakes, and (R/γ)² with the γ of the line that made the labels and the R of the points drawn."""
    points, signs, normal = sample_separable(num_points, margin, make_generator(seed, "points"))
    radius, reached = points.norm(dim=1).max(), (signs * (points @ normal)).min()
    return count_mistakes(points, signs), float((radius / reached) ** 2)


def judge(margins: Sequence[float], results: list[list[tuple[int, float]]]) -> Verdict:
    """``results[margin][seed]``."""
    pairs = [pair for group in results for pair in group]
    ratios = [mistakes / bound for mistakes, bound in pairs]
    most = [max(mistakes for mistakes, _ in group) for group in results]
    rows: list[Row] = []
    for margin, group in zip(margins, results, strict=True):
        mistakes = [pair[0] for pair in group]
        rows.append((margin, sum(mistakes) / len(group), max(mistakes), min(pair[1] for pair in group)))
    return Verdict(
        checks=[
            at_most(
                f"random points cost at most a tenth of the bound at margins of {margins[-1]}",
                [mistakes / bound for mistakes, bound in results[-1]],
                0.1,
            ),
            Check(
                expectation="a smaller margin costs more mistakes",
                measured=f"at most {most[0]} at margin {margins[0]}, {most[-1]} at {margins[-1]}",
                holds=most[-1] > most[0],
            ),
        ],
        witnesses=[at_most("Novikoff's theorem: mistakes / (R/γ)² is at most 1", ratios, 1.0)],
        columns=("margin", "mistakes (mean)", "mistakes (most)", "smallest (R/γ)²"),
        rows=rows,
        figures={
            "mistakes": draw_panels(
                [
                    Panel(
                        [
                            Curve("mistakes", margins, _by_seed(results, 0)),
                            Curve("Novikoff's bound (R/γ)²", margins, _by_seed(results, 1), dashed=True),
                        ],
                        "margin γ (radius 1)",
                        "mistakes until all points are right",
                        log="xy",
                    )
                ]
            )
        },
        remark=(
            "The bound is for the worst order of the worst points. On random ones the perceptron needs far "
            "fewer corrections, and the more so the smaller the margin."
        ),
    )


def _by_seed(results: list[list[tuple[int, float]]], part: int) -> list[list[float]]:
    return [[float(pair[part]) for pair in group] for group in zip(*results, strict=True)]


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    margins = MARGINS[:3] if quick else MARGINS
    return judge(margins, [[measure(seed, margin) for seed in seeds] for margin in margins])


PHENOMENON = Phenomenon(
    title="The perceptron's mistake bound",
    claim=(
        "If a line through the origin separates the data with margin γ, the perceptron makes at most (R/γ)² "
        "mistakes, R being the largest distance from the origin, however many points there are."
    ),
    reference="Novikoff 1962",
    run=run,
)
