"""Reinforcement: spirals learned from rewards alone, and how many points that takes against labels."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import build_networks, draw_spirals
from gaplab.phenomena.verdict import Check, Phenomenon, Row, Verdict, at_least, mean_at_least
from gaplab.randomness import make_generator

BATCH, EVERY = 30, 20
RATES = (3e-3, 1e-2, 3e-2)
"""Learning rates; each way to learn is judged at the one that suits it best."""
GOAL = 0.9
FORGETTING = 0.05
"""Share of the newest batch in the running mean of rewards."""


class Result(NamedTuple):
    """Test accuracy [evaluation][seed] by the number of points seen, each of them once."""

    points: list[int]
    accuracy: list[list[float]]

    @property
    def needed(self) -> list[float]:
        """Points until the test accuracy first reaches the goal, a value a seed; infinite if never."""
        return [
            next((float(n) for n, a in zip(self.points, values, strict=True) if a >= GOAL), math.inf)
            for values in zip(*self.accuracy, strict=True)
        ]


def reinforce_loss(log_probabilities: Tensor, actions: Tensor, rewards: Tensor, baseline: Tensor) -> Tensor:
    """−(r − b)·log π(a|x), a value a point, whose mean gradient over actions is −∇ E[r] (REINFORCE).

    Args:
        log_probabilities: log π(·|x), [..., C].
        actions: what was done, [...].
        rewards: what came of it, [...].
        baseline: b, whatever it is, as long as it does not depend on the action; it only lowers the variance.
    """
    chosen = log_probabilities.gather(-1, actions[..., None]).squeeze(-1)
    return -(rewards - baseline) * chosen


def measure(seeds: Sequence[int], num_steps: int, lr: float, *, rewarded: bool) -> Result:
    """Train 2-50-50-3 by Adam on a stream of points; an answer is rewarded with 1 if it is right, else 0."""
    points, labels = draw_spirals(seeds, BATCH * num_steps, "stream")
    order = torch.randperm(BATCH * num_steps, generator=make_generator(seeds[0], "order"))
    points, labels = points[:, order], labels[:, order]
    test = draw_spirals(seeds, 2000, "test")
    networks = build_networks(seeds, [50, 50])
    weights = {name: value.clone().requires_grad_() for name, value in networks.parameters.items()}
    optimizer = torch.optim.Adam(list(weights.values()), lr=lr)
    generator = make_generator(seeds[0], "actions")
    baseline = torch.full((len(seeds), 1), 1 / 3)
    result = Result([], [])
    for step in range(num_steps):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        log_probabilities = networks.logits(points[:, batch], weights).log_softmax(dim=-1)
        actions = labels[:, batch]
        rewards = torch.ones(actions.shape)
        if rewarded:
            chances = log_probabilities.detach().exp().flatten(0, 1)
            actions = torch.multinomial(chances, 1, generator=generator).view(actions.shape)
            rewards = (actions == labels[:, batch]).float()
        # With the label for the action, reward 1 and no baseline, this is the cross-entropy.
        losses = reinforce_loss(
            log_probabilities, actions, rewards, baseline if rewarded else torch.zeros(())
        )
        baseline = baseline + FORGETTING * (rewards.mean(dim=1, keepdim=True) - baseline)
        optimizer.zero_grad()
        losses.mean(dim=1).sum().backward()
        optimizer.step()
        if (step + 1) % EVERY == 0:
            result.points.append((step + 1) * BATCH)
            result.accuracy.append(networks.accuracy(*test, weights))
    return result


def largest_bias(seed: int) -> float:
    """Largest |mean of REINFORCE's gradient over all actions + ∇ E[reward]| for random logits (float64)."""
    generator = make_generator(seed, "logits")
    logits = torch.randn(20, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(3, (20,), generator=generator)
    probabilities = logits.softmax(dim=-1)
    (exact,) = torch.autograd.grad(probabilities[torch.arange(20), labels].sum(), logits)
    mean = torch.zeros_like(exact)
    for action in range(3):
        actions = torch.full((20,), action)
        loss = reinforce_loss(
            logits.log_softmax(dim=-1), actions, (actions == labels).double(), torch.tensor(0.3)
        )
        mean += torch.autograd.grad((probabilities[:, action].detach() * loss).sum(), logits)[0]
    return float((mean + exact).abs().max())


def judge(seeds: Sequence[int], results: dict[str, dict[float, Result]]) -> Verdict:
    """``results[way][learning rate]``, labels first."""
    best = {
        way: min(by_rate.values(), key=lambda result: sum(result.needed)) for way, by_rate in results.items()
    }
    labelled, rewarded = best.values()
    ratios = [
        b / a if math.isfinite(b) else math.nan for a, b in zip(labelled.needed, rewarded.needed, strict=True)
    ]
    equal = [
        fmean(results["rewards"][rate].needed[k] / results["labels"][rate].needed[k] for rate in RATES)
        for k in range(len(seeds))
    ]
    bias = max(largest_bias(seed) for seed in seeds)
    rows: list[Row] = [
        (way, rate, fmean(r.needed), min(r.needed), max(r.needed), fmean(r.accuracy[-1]))
        for way, by_rate in results.items()
        for rate, r in by_rate.items()
    ]
    return Verdict(
        checks=[
            mean_at_least(
                f"rewards alone teach it too: mean accuracy at least 0.9 after {rewarded.points[-1]} points",
                rewarded.accuracy[-1],
                0.9,
            ),
            mean_at_least(
                f"to {GOAL} they need at least twice as many points in the mean (each way at its best rate)",
                ratios,
                2.0,
            ),
            at_least(
                "and at equal learning rates: ratio, mean over rates, at least 1.5 (infinite if never there)",
                equal,
                1.5,
            ),
        ],
        witnesses=[
            Check(
                expectation="over all actions, REINFORCE's gradient is that of the expected reward in the mean",
                measured=f"largest difference {bias:.1e}",
                holds=bias < 1e-12,
            )
        ],
        columns=(
            "learned from",
            "learning rate",
            f"points to {GOAL} (mean)",
            "least",
            "most",
            "accuracy at the end",
        ),
        rows=rows,
        figures={
            "learning_curves": draw_panels(
                [
                    Panel(
                        [
                            Curve(way, r.points, list(zip(*r.accuracy, strict=True)))
                            for way, r in best.items()
                        ],
                        "points seen, each once",
                        "test accuracy",
                        log="x",
                        lines=[("goal", GOAL)],
                    )
                ]
            )
        },
        remark=(
            "A contextual bandit: one answer a point, one reward, no second try. A wrong answer only tells that it is "
            "not this arm, and the gradient of the expected reward is that of the log-likelihood times the probability "
            "of the right answer: the points on which the network is most wrong move it least."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_steps = 40 if quick else 700
    return judge(
        seeds,
        {
            way: {rate: measure(seeds, num_steps, rate, rewarded=way == "rewards") for rate in RATES}
            for way in ("labels", "rewards")
        },
    )


PHENOMENON = Phenomenon(
    title="Reinforcement: rewards against labels",
    claim=(
        "A network that only hears whether its answer was right learns the same spirals as one that is told the "
        "label, from several times as many points."
    ),
    reference="Williams 1992 (REINFORCE); Langford and Zhang 2007 (contextual bandits)",
    run=run,
)
