"""Discriminator rejection sampling: of the generator's samples, keep those that the discriminator finds too rare.

A discriminator at its optimum scores a point by log p(x)/q(x) + constant, where p is the law of the data and q that of
the samples; keeping a sample with probability min(1, exp(score − cap)) turns q into p wherever the score stays below
the cap. Source: Azadi et al. 2019; the cap is a quantile of the scores, in place of their largest one and γ.
"""

from collections.abc import Callable

import torch
from torch import Tensor

MOST_ROUNDS = 1_000
"""Draws for one sample; as some share is always kept, a round more is needed with a vanishing probability."""


def score_caps(scores: Tensor, labels: Tensor, quantile: float, num_classes: int) -> Tensor:
    """Return the quantile of the scores [P] of each class [C]; a class without a score has the cap of all."""
    caps = scores.double().quantile(quantile).repeat(num_classes)
    for label in labels.unique().tolist():
        caps[label] = scores[labels == label].double().quantile(quantile)
    return caps


def acceptance_of(scores: Tensor, caps: Tensor) -> Tensor:
    """Return the probabilities [P] with which samples of these scores are kept."""
    return (scores.double() - caps).exp().clamp(max=1)


def reject_samples(
    points: Tensor,
    acceptance: Callable[[Tensor, Tensor], Tensor],
    redraw: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """Return points that were kept, and the share of all drawn ones that was.

    A rejected sample is drawn again for the same row, so that the shares of labels stay.

    Args:
        points: Samples [P, D].
        acceptance: Samples and the rows [p] that they are for, to probabilities [p].
        redraw: Rows to fresh samples for them.
        generator: Decides.
    """
    kept, rows, drawn = points.clone(), torch.arange(len(points), device=points.device), 0
    for _ in range(MOST_ROUNDS):
        candidates = points if drawn == 0 else redraw(rows)
        drawn += len(rows)
        coins = torch.rand(len(rows), generator=generator, dtype=torch.float64).to(points.device)
        accepted = ~(
            coins >= acceptance(candidates, rows)
        )  # a sample whose score is no number is not drawn again
        kept[rows[accepted]] = candidates[accepted]
        rows = rows[~accepted]
        if len(rows) == 0:
            break
    return kept, len(points) / drawn
