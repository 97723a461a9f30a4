"""Lottery tickets: a small part of a network learns alone, if it keeps the weights that it began with."""

from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Verdict, mean_at_least, mean_at_most
from gaplab.randomness import make_generator

NUM_POINTS, NUM_TEST = 300, 2000
WIDTHS = (50, 50)
KEPT, NUM_ROUNDS = 0.5, 5
"""Share of the remaining weights that a round of pruning keeps."""
KINDS = TICKET, NEW, PLACES = "rewound", "same places, new first weights", "other places, same first weights"


def prune(parameters: Parameters, mask: Parameters, kept: float) -> Parameters:
    """Of the weights that ``mask`` [K, ...] still has, keep the share of greatest size, over all layers."""
    names = list(mask)
    sizes = torch.cat([(parameters[name].abs() * mask[name]).flatten(1) for name in names], dim=1)
    remaining = sum(int(mask[name][0].sum()) for name in names)
    chosen = torch.zeros_like(sizes).scatter_(1, sizes.topk(round(kept * remaining), dim=1).indices, 1.0)
    parts = chosen.split([mask[name][0].numel() for name in names], dim=1)
    return {name: part.view_as(mask[name]) for name, part in zip(names, parts, strict=True)}


def shuffle(mask: Parameters, seeds: Sequence[int]) -> Parameters:
    """Masks [K, ...] of as many weights a layer, at random places."""

    def one(part: Tensor, generator: torch.Generator) -> Tensor:
        return part.flatten()[torch.randperm(part.numel(), generator=generator)].view_as(part)

    generators = [make_generator(seed, "places") for seed in seeds]
    return {
        name: torch.stack([one(part, generator) for part, generator in zip(parts, generators, strict=True)])
        for name, parts in mask.items()
    }


def measure(seeds: Sequence[int], num_steps: int) -> tuple[list[float], dict[str, list[list[float]]]]:
    """Train, prune, rewind the rest to the first weights and train again, for ``NUM_ROUNDS`` rounds.

    Returns:
        The shares of weights that remain [round], from 1 on, and test accuracies [round][seed] of the kinds.
    """
    points, labels = draw_spirals(seeds, NUM_POINTS)
    test = draw_spirals(seeds, NUM_TEST, "test")
    networks = build_networks(seeds, WIDTHS)
    first, other = networks.parameters, build_networks([seed + 100_000 for seed in seeds], WIDTHS).parameters
    mask = {name: torch.ones_like(value) for name, value in first.items() if name.endswith("weight")}
    total = sum(part[0].numel() for part in mask.values())
    shares: list[float] = []
    accuracy: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}

    def train(parameters: Parameters, mask: Parameters) -> list[float]:
        networks.parameters = parameters
        networks.train(points, labels, num_steps=num_steps, lr=5e-3, mask=mask)
        return networks.accuracy(*test)

    for _ in range(NUM_ROUNDS + 1):
        shares.append(sum(int(part[0].sum()) for part in mask.values()) / total)
        accuracy[NEW].append(train(other, mask))
        accuracy[PLACES].append(train(first, shuffle(mask, seeds)))
        accuracy[TICKET].append(train(first, mask))
        mask = prune(networks.parameters, mask, KEPT)
    return shares, accuracy


def judge(shares: list[float], accuracy: dict[str, list[list[float]]]) -> Verdict:
    shown = [round(share, 3) for share in shares]
    small = f"{shares[-2]:.1%} of the weights"

    def lost(kind: str, place: int) -> list[float]:
        return [a - b for a, b in zip(accuracy[TICKET][place], accuracy[kind][place], strict=True)]

    return Verdict(
        checks=[
            mean_at_most(
                f"{small}, rewound: mean test accuracy at most 0.03 below the full network's",
                [a - b for a, b in zip(accuracy[TICKET][0], accuracy[TICKET][-2], strict=True)],
                0.03,
            ),
            mean_at_least(
                f"{shares[-1]:.1%}: the same places with new first weights, at least 0.05 less in the mean",
                lost(NEW, -1),
                0.05,
            ),
            mean_at_least(
                f"{shares[-1]:.1%}: other places of the same layers, at least 0.1 less in the mean",
                lost(PLACES, -1),
                0.1,
            ),
            mean_at_most(
                f"with {shares[2]:.0%} of the weights any choice does: other places, at most 0.02 less in the mean",
                lost(PLACES, 2),
                0.02,
            ),
        ],
        columns=("weights that remain", *KINDS),
        rows=[
            (f"{share:.1%}", *(fmean(accuracy[kind][place]) for kind in KINDS))
            for place, share in enumerate(shares)
        ],
        figures={
            "tickets": draw_panels(
                [
                    Panel(
                        [Curve(kind, shown, list(zip(*accuracy[kind], strict=True))) for kind in KINDS],
                        "share of the weights",
                        "test accuracy",
                        f"2-{'-'.join(map(str, WIDTHS))}-3, pruned in rounds",
                        log="x",
                    )
                ]
            )
        },
        remark=(
            f"Every round trains, keeps the {KEPT:.0%} of the remaining weights that are greatest in size, over all "
            "layers, and sets these back to what they were at first; biases are never pruned. To find a ticket the "
            "full network had to be trained: it is no cheaper way to learn."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    return judge(*measure(seeds, 20 if quick else 300))


PHENOMENON = Phenomenon(
    title="Lottery tickets",
    claim=(
        "A trained network holds a small part that, set back to its first weights, learns alone as well as the whole. "
        "With other first weights, or at other places, as many weights learn less."
    ),
    reference="Frankle and Carbin 2019",
    run=run,
)
