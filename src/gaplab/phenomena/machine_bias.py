"""Machine bias: a hint that goes with the label for most points, and who pays for it."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_most, mean_at_least, mean_at_most
from gaplab.randomness import make_generator

NUM_POINTS, MINORITY = 1000, 20
"""One point in so many has a hint that points to the wrong label."""
HINT_NOISE = 0.3
EARLY, LATE, EVERY = 100, 500, 20


class Errors(NamedTuple):
    """Shares of wrong answers [evaluation][seed] over the steps of a training."""

    steps: list[int]
    majority: list[list[float]]
    minority: list[list[float]]

    def worst(self, step: int) -> list[float]:
        """The error of the group that fares worse, a value a seed."""
        at = self.steps.index(step)
        return [max(pair) for pair in zip(self.majority[at], self.minority[at], strict=True)]

    def mean(self, step: int) -> list[float]:
        """The error over points of the law that was trained on, a value a seed."""
        at = self.steps.index(step)
        pairs = zip(self.majority[at], self.minority[at], strict=True)
        return [(1 - 1 / MINORITY) * a + b / MINORITY for a, b in pairs]


def draw_hinted(seeds: Sequence[int], num_points: int, split: str, wrong_in: int) -> tuple[Tensor, Tensor]:
    """Two-arm spirals with a third input, the hint: the label as ±1, with noise of standard deviation 0.3.

    Returns:
        Points [K, P, 3] and labels [K, P]. The hint of the last P/``wrong_in`` points has the wrong sign: they
        are the minority. Which points these are is drawn; the others stand before them.
    """
    points, labels = draw_spirals(seeds, num_points, split, num_arms=2)
    num_wrong = num_points // wrong_in
    drawn = []
    for k, seed in enumerate(seeds):
        generator = make_generator(seed, "hint", split)
        order = torch.randperm(num_points, generator=generator)
        sign = torch.ones(num_points)
        sign[num_points - num_wrong :] = -1
        label = labels[k, order]
        hint = sign * (2 * label - 1) + HINT_NOISE * torch.randn(num_points, generator=generator)
        drawn.append((torch.cat((points[k, order], hint[:, None]), dim=1), label))
    return torch.stack([x for x, _ in drawn]), torch.stack([y for _, y in drawn])


def measure(
    seeds: Sequence[int], num_steps: int, num_test: int, *, reweighted: bool = False, hinted: bool = True
) -> Errors:
    """Train 3-50-50-2; ``reweighted`` gives both groups the same weight, without ``hinted`` the hint is 0."""
    points, labels = draw_hinted(seeds, NUM_POINTS, "train", MINORITY)
    test_points, test_labels = draw_hinted(seeds, num_test, "test", 2)
    if reweighted:
        few = NUM_POINTS // MINORITY
        points = torch.cat((points, points[:, -few:].repeat(1, MINORITY - 2, 1)), dim=1)
        labels = torch.cat((labels, labels[:, -few:].repeat(1, MINORITY - 2)), dim=1)
    if not hinted:
        points[..., 2], test_points[..., 2] = 0, 0
    networks = build_networks(seeds, [50, 50], in_features=3, out_features=2)
    errors = Errors([], [], [])
    half = num_test // 2

    def observe(step: int, parameters: Parameters) -> None:
        errors.steps.append(step)
        for group, part in ((errors.majority, slice(half)), (errors.minority, slice(half, None))):
            right = networks.accuracy(test_points[:, part], test_labels[:, part], parameters)
            group.append([1 - share for share in right])

    networks.train(points, labels, num_steps=num_steps, lr=5e-3, observe=observe, observe_every=EVERY)
    return errors


def judge(plain: Errors, reweighted: Errors, without: Errors) -> Verdict:
    late = plain.steps[-1]
    kinds = {"all points alike": plain, "both groups alike": reweighted, "without the hint": without}
    gained = {
        step: [a - b for a, b in zip(plain.worst(step), reweighted.worst(step), strict=True)]
        for step in (EARLY, late)
    }
    rows: list[Row] = [
        (name, step, fmean(errors.mean(step)), fmean(errors.worst(step)))
        for name, errors in kinds.items()
        for step in (EARLY, late)
    ]
    return Verdict(
        checks=[
            at_most(f"step {EARLY}: error on the whole law at most 0.08", plain.mean(EARLY), 0.08),
            mean_at_least(
                f"step {EARLY}: mean error of the worse group at least 0.4", plain.worst(EARLY), 0.4
            ),
            mean_at_least(
                f"step {EARLY}: equal weight for both groups lowers it by 0.3 in the mean", gained[EARLY], 0.3
            ),
            mean_at_most(
                f"step {late}, all training points fitted: equal weight lowers it by at most 0.05 in the mean",
                gained[late],
                0.05,
            ),
            at_most(
                f"step {late}, without the hint: error of the worse group at most 0.02",
                without.worst(late),
                0.02,
            ),
        ],
        columns=("training", "step", "error on the whole law", "error of the worse group"),
        rows=rows,
        figures={
            "groups": draw_panels(
                [
                    Panel(
                        [
                            Curve("hint right (19 of 20)", errors.steps, _by_seed(errors.majority)),
                            Curve("hint wrong (1 of 20)", errors.steps, _by_seed(errors.minority)),
                        ],
                        "optimiser step",
                        "share of wrong answers",
                        name,
                        limits=(-0.02, 1.02),
                    )
                    for name, errors in kinds.items()
                ],
                columns=3,
            )
        },
        remark=(
            "The mean error looks like that of a good model while one group is served no better than by a coin. "
            "Weights steer a training that is still undecided; a network that fits every point has no loss left to "
            "weigh. What helps to the end is not to hand it the hint, if one knows which input it is."
        ),
    )


def _by_seed(values: list[list[float]]) -> list[tuple[float, ...]]:
    return list(zip(*values, strict=True))


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps, num_test = (EARLY + EVERY, 400) if quick else (LATE, 4000)
    return judge(
        measure(seeds, num_steps, num_test),
        measure(seeds, num_steps, num_test, reweighted=True),
        measure(seeds, num_steps, num_test, hinted=False),
    )


PHENOMENON = Phenomenon(
    title="Machine bias: a good mean, and a group that pays",
    claim=(
        "A feature that goes with the label for most points is learned first, and the few for whom it does not are "
        "answered wrongly while the mean error is small. Equal weight for both groups helps until every training "
        "point is fitted; then it does nothing."
    ),
    reference=(
        "Sagawa et al. 2020 (worst-group error, spurious features); Byrd and Lipton 2019 (weights in networks that "
        "fit all points)"
    ),
    run=run,
)
