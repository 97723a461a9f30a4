"""Epoch-wise double descent: test error over time falls, rises and falls again where features differ in speed."""

from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from gaplab.figures.palette import TEST, TRAIN
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, at_most, mean_at_least, mean_at_most
from gaplab.randomness import make_generator

NUM_POINTS, NUM_FAST, NUM_SLOW = 100, 60, 20
SLOW = 0.1
"""Scale of the slow inputs; gradient descent learns them 1/SLOW² times more slowly than the others."""
NOISE = 0.3
NUM_DRAWS = 20
"""Draws of law and points a seed, over which the errors of the linear model are averaged."""
STEPS = [0, *sorted({round(10 ** (power / 8)) for power in range(41)})]
NETWORK_STEPS, NETWORK_POINTS, LABEL_NOISE, WIDTHS = 2500, 100, 0.15, (200, 200)

Curves = tuple[list[float], list[float]]
"""Training and test error over ``STEPS``."""


def descend(inputs: Tensor, targets: Tensor, steps: Sequence[int]) -> Tensor:
    """Weights [T, D] that gradient descent on ½ mean squared error, from 0, has after each number of steps.

    In closed form: along an eigenvector of the inputs' covariance with eigenvalue λ the share 1 − (1 − ηλ)^t of the
    least-squares solution has been reached. η is 1 over the greatest eigenvalue.
    """
    values, vectors = torch.linalg.eigh(inputs.T @ inputs / len(inputs))
    solution = (vectors.T @ (inputs.T @ targets / len(inputs))) / values
    shares = 1 - (1 - values / values[-1])[None] ** torch.tensor(steps, dtype=inputs.dtype)[:, None]
    return (shares * solution) @ vectors.T


def measure_linear(seed: int, slow: float) -> Curves:
    """Errors of a linear model in the mean over draws: how far a single one falls and rises is chance."""
    generator = make_generator(seed, "points")
    curves = [torch.stack(draw_errors(slow, generator)) for _ in range(NUM_DRAWS)]
    train, test = torch.stack(curves).mean(dim=0).tolist()
    return train, test


def draw_errors(slow: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Training and test error over ``STEPS`` on a linear law whose two groups of inputs tell equally much.

    The test error is exact: the inputs are independent and Gaussian with known scales.
    """
    scales = torch.cat((torch.ones(NUM_FAST), torch.full((NUM_SLOW,), slow))).double()
    shares = torch.cat((torch.full((NUM_FAST,), NUM_FAST), torch.full((NUM_SLOW,), NUM_SLOW))).double()
    inputs = scales * torch.randn(NUM_POINTS, len(scales), generator=generator, dtype=torch.float64)
    truth = torch.randn(len(scales), generator=generator, dtype=torch.float64) / shares.sqrt() / scales
    targets = inputs @ truth + NOISE * torch.randn(NUM_POINTS, generator=generator, dtype=torch.float64)
    weights = descend(inputs, targets, STEPS)
    train = (weights @ inputs.T - targets).square().mean(dim=1)
    test = ((weights - truth) * scales).square().sum(dim=1) + NOISE**2
    return train, test


def measure_networks(
    seeds: Sequence[int], num_steps: int
) -> tuple[list[int], list[list[float]], list[list[float]]]:
    """Steps, and shares of wrong answers [evaluation][seed]: on wrong training labels, and on true test labels."""
    train = draw_spirals(seeds, NETWORK_POINTS, label_noise=LABEL_NOISE)
    test = draw_spirals(seeds, 3000, "test")
    networks = build_networks(seeds, WIDTHS)
    steps: list[int] = []
    errors: tuple[list[list[float]], list[list[float]]] = ([], [])

    def observe(step: int, parameters: Parameters) -> None:
        steps.append(step)
        for data, found in zip((train, test), errors, strict=True):
            found.append(networks.error(*data, parameters))

    networks.train(*train, num_steps=num_steps, lr=3e-3, observe=observe, observe_every=25)
    return steps, *errors


def turns(test: Sequence[float]) -> tuple[float, float, float]:
    """First low, the peak after it and the low after the peak, of the greatest second fall that the curve has.

    Without a second fall, peak and last low are the last value.
    """
    best = (min(test), test[-1], test[-1])
    for place in range(1, len(test) - 1):
        first, peak, later = min(test[:place]), test[place], min(test[place + 1 :])
        if peak > first and peak - later > best[1] - best[2]:
            best = (first, peak, later)
    return best


def judge(
    two: list[Curves], one: list[Curves], network: tuple[list[int], list[list[float]], list[list[float]]]
) -> Verdict:
    """``two``: groups of two speeds; ``one``: of one; an entry a seed."""
    steps, wrong_train, wrong_test = network
    tests = [list(values) for values in zip(*wrong_test, strict=True)]
    found = {
        "linear, two speeds": [turns(test) for _, test in two],
        "linear, one speed": [turns(test) for _, test in one],
        "network, wrong labels": [turns(test) for test in tests],
    }
    rows: list[Row] = [
        (name, fmean(a for a, _, _ in low), fmean(b for _, b, _ in low), fmean(c for _, _, c in low))
        for name, low in found.items()
    ]

    def panel(curves: list[Curves], title: str) -> Panel:
        return Panel(
            [
                Curve("train", STEPS[1:], [train[1:] for train, _ in curves], color=TRAIN),
                Curve("test", STEPS[1:], [test[1:] for _, test in curves], color=TEST),
            ],
            "optimiser step",
            "squared error",
            title,
            log="x",
        )

    return Verdict(
        checks=[
            at_least(
                "two speeds: after its first low the test error rises at least 1.15-fold",
                [peak / low for low, peak, _ in found["linear, two speeds"]],
                1.15,
            ),
            at_most(
                "and falls again to at most half of that first low",
                [later / low for low, _, later in found["linear, two speeds"]],
                0.5,
            ),
            at_most(
                "one speed: once risen it falls by no more than 0.02",
                [peak - later for _, peak, later in found["linear, one speed"]],
                0.02,
            ),
            at_most(
                f"a network on spirals with {LABEL_NOISE:.0%} wrong labels fits them: at most 0.02 answered otherwise",
                wrong_train[-1],
                0.02,
            ),
            mean_at_least(
                "its test error at the end is at least 0.03 above its least in the mean",
                [test[-1] - min(test) for test in tests],
                0.03,
            ),
            mean_at_most(
                f"and does not fall again by more than 0.03 in the mean within {steps[-1]} steps",
                [peak - later for _, peak, later in found["network, wrong labels"]],
                0.03,
            ),
        ],
        columns=("training", "first low of the test error", "peak", "later low"),
        rows=rows,
        figures={
            "curves": draw_panels(
                [
                    panel(two, "linear, two speeds"),
                    panel(one, "linear, one speed"),
                    Panel(
                        [
                            Curve(
                                "train (wrong labels)",
                                steps,
                                list(zip(*wrong_train, strict=True)),
                                color=TRAIN,
                            ),
                            Curve("test (true labels)", steps, tests, color=TEST),
                        ],
                        "optimiser step",
                        "share of wrong answers",
                        f"network 2-{'-'.join(map(str, WIDTHS))}-3",
                    ),
                ],
                columns=3,
            )
        },
        remark=(
            f"{NUM_POINTS} points, {NUM_FAST} inputs of scale 1 and {NUM_SLOW} of scale {SLOW:g}, each group worth "
            "half of the signal. While the slow ones are unknown their part is noise that the fast ones fit; when they "
            "are learned the noise is gone. With equal scales, or a step size for each group, there is one descent. "
            "The network on spirals has nothing that it learns so late: wrong labels alone do not bring a second one."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    return judge(
        [measure_linear(seed, SLOW) for seed in seeds],
        [measure_linear(seed, 1.0) for seed in seeds],
        measure_networks(seeds, 100 if quick else NETWORK_STEPS),
    )


PHENOMENON = Phenomenon(
    title="Epoch-wise double descent",
    claim=(
        "Test error over training time falls, rises and falls again below its first low where some features are "
        "learned much later than others. Features of one speed do not show it, nor does a network on spirals."
    ),
    reference="Nakkiran et al. 2020; Heckel and Yilmaz 2021 and Pezeshki et al. 2022 (two speeds)",
    run=run,
)
