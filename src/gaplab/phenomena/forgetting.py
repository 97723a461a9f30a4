"""Catastrophic forgetting: pairs of arms learned in turn, and what rehearsal and a penalty save."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import log_softmax

from gaplab.figures.phenomena import draw_region_panels
from gaplab.phenomena.training import Networks, Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import (
    Phenomenon,
    Row,
    Verdict,
    at_least,
    mean_at_least,
    mean_at_most,
)

NUM_ARMS, NUM_TASKS, NUM_POINTS = 6, 3, 600
"""Arms 0 and 1 are the first task, 2 and 3 the second, 4 and 5 the third."""
NOISE = 0.1
KEPT, STRENGTH = 10, 1e3
"""Points of each earlier arm that rehearsal keeps, of 100; the factor of the penalty."""


class Result(NamedTuple):
    """A way to learn: the networks at the end and, a value a seed, test accuracies."""

    networks: Networks
    whole: list[float]
    """Which of the six arms?"""
    earlier: list[float]
    """The same question for points of the tasks before the last."""
    told: list[float]
    """Which of the two arms of the point's task? The task is told, and only its two outputs compared."""


def fisher_information(networks: Networks, points: Tensor) -> Parameters:
    """Diagonal of the Fisher information of each network, [K, ...] as its weights: E[(∂ log p(y|x)/∂w)²].

    The expectation is over the points [K, P, D] and, exactly, over y from the network's own answer.
    """

    def log_probability(parameters: Parameters, point: Tensor, answer: Tensor) -> Tensor:
        logits = functional_call(networks.template, parameters, (point,))
        return (answer * log_softmax(logits, dim=-1)).sum()

    def of_network(parameters: Parameters, points: Tensor) -> Parameters:
        probabilities = functional_call(networks.template, parameters, (points,)).softmax(dim=-1)
        answers = torch.eye(probabilities.shape[-1])
        of_answers = vmap(grad(log_probability), in_dims=(None, None, 0))
        gradients = vmap(of_answers, in_dims=(None, 0, None))(parameters, points, answers)
        weights = probabilities / len(points)
        return {name: torch.tensordot(weights, g.square(), dims=2) for name, g in gradients.items()}

    with torch.no_grad():
        return vmap(of_network)(networks.parameters, points)


def learn_in_turn(seeds: Sequence[int], num_steps: int, *, kept: int = 0, strength: float = 0.0) -> Result:
    """Train 2-100-100-6 on task after task, each for ``num_steps`` full-batch steps.

    Args:
        seeds: one network each.
        num_steps: steps on each task.
        kept: points of each earlier arm that go on being trained, repeated to the weight of the whole arm.
        strength: factor λ on ½ Σ F (w − w*)², with w* the weights after each earlier task and F their Fisher
            information there (elastic weight consolidation).
    """
    points, labels = draw_spirals(seeds, NUM_POINTS, num_arms=NUM_ARMS, noise=NOISE)
    networks = build_networks(seeds, [100, 100], out_features=NUM_ARMS)
    size = NUM_POINTS // NUM_ARMS
    anchors: list[tuple[Parameters, Parameters]] = []

    def penalty(parameters: Parameters) -> Tensor:
        pulls = [
            (fisher[name] * (parameters[name] - center[name]).square()).sum()
            for fisher, center in anchors
            for name in parameters
        ]
        return strength / 2 * torch.stack(pulls).sum()

    for task in range(NUM_TASKS):
        own = slice(2 * task * size, 2 * (task + 1) * size)
        seen, wanted = [points[:, own]], [labels[:, own]]
        for arm in range(2 * task if kept else 0):
            # Points stand in the order of the arms and are independent: the first ones are a random choice.
            some = slice(arm * size, arm * size + kept)
            seen.append(points[:, some].repeat(1, size // kept, 1))
            wanted.append(labels[:, some].repeat(1, size // kept))
        networks.train(
            torch.cat(seen, dim=1),
            torch.cat(wanted, dim=1),
            num_steps=num_steps,
            lr=3e-3,
            penalty=penalty if strength and anchors else None,
        )
        if strength:
            anchors.append((fisher_information(networks, points[:, own]), networks.parameters))
    return tested(networks, seeds)


def learn_together(seeds: Sequence[int], num_steps: int) -> Result:
    """Train the same network on all tasks at once, for as many steps in all."""
    networks = build_networks(seeds, [100, 100], out_features=NUM_ARMS)
    points, labels = draw_spirals(seeds, NUM_POINTS, num_arms=NUM_ARMS, noise=NOISE)
    networks.train(points, labels, num_steps=NUM_TASKS * num_steps, lr=3e-3)
    return tested(networks, seeds)


@torch.no_grad()
def tested(networks: Networks, seeds: Sequence[int]) -> Result:
    """Test on 500 points of every arm."""
    points, labels = draw_spirals(seeds, 500 * NUM_ARMS, "test", num_arms=NUM_ARMS, noise=NOISE)
    logits = networks.logits(points)
    right = (logits.argmax(dim=-1) == labels).double()
    first = 2 * (labels // 2)
    pair = torch.stack([logits.gather(-1, (first + k)[..., None]).squeeze(-1) for k in (0, 1)], dim=-1)
    told = (pair.argmax(dim=-1) == labels % 2).double()
    earlier = right[:, : 500 * (NUM_ARMS - 2)]
    return Result(networks, *(values.mean(dim=1).tolist() for values in (right, earlier, told)))


def judge(results: dict[str, Result], seed: int) -> Verdict:
    """``results`` by way to learn: together, in turn, with rehearsal, with a penalty."""
    together, plain, rehearsed, penalised = results.values()
    saved = [a - b for a, b in zip(penalised.told, plain.told, strict=True)]
    points, labels = draw_spirals([seed], 600, "test", num_arms=NUM_ARMS, noise=NOISE)
    panels = [(name, result.networks.one(0)) for name, result in results.items()]
    rows: list[Row] = [
        (name, *(sum(values) / len(values) for values in (r.whole, r.earlier, r.told)))
        for name, r in results.items()
    ]
    return Verdict(
        checks=[
            at_least("all tasks at once: accuracy at least 0.95", together.whole, 0.95),
            mean_at_most(
                "in turn: in the mean at most 0.05 of the earlier tasks' points are still right",
                plain.earlier,
                0.05,
            ),
            mean_at_least(
                f"rehearsal of {KEPT} points an arm: mean accuracy at least 0.8", rehearsed.whole, 0.8
            ),
            mean_at_least(
                "the penalty, task told: mean accuracy rises by at least 0.1 over that in turn", saved, 0.1
            ),
            mean_at_most(
                "the penalty, task not told: mean accuracy at most 0.5, where forgetting leaves 1/3",
                penalised.whole,
                0.5,
            ),
        ],
        columns=("learned", "which of six arms", "the same, earlier tasks", "which of two, task told"),
        rows=rows,
        figures={"regions": draw_region_panels(panels, points[0], labels[0])},
        remark=(
            "Each task is two arms of six, and the network is trained on one task at a time. What is lost first is "
            "not the shape of the arms but the readiness to answer with them: with the task told, a share of "
            f"{sum(plain.told) / len(plain.told):.2f} is right even without help. A penalty on important weights "
            "keeps the shapes; only points of earlier arms, however few, keep them apart from later ones."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps = 10 if quick else 300
    return judge(
        {
            "together": learn_together(seeds, num_steps),
            "in turn": learn_in_turn(seeds, num_steps),
            "in turn, rehearsal": learn_in_turn(seeds, num_steps, kept=KEPT),
            "in turn, penalty": learn_in_turn(seeds, num_steps, strength=STRENGTH),
        },
        seeds[0],
    )


PHENOMENON = Phenomenon(
    title="Catastrophic forgetting",
    claim=(
        "A network trained on one task after another forgets the earlier ones altogether. A few kept points save "
        "most; a penalty on changing important weights saves the tasks, if one is told which is asked."
    ),
    reference=(
        "McCloskey and Cohen 1989; Kirkpatrick et al. 2017 (elastic weight consolidation); van de Ven and Tolias 2019 "
        "(told or not told)"
    ),
    run=run,
)
