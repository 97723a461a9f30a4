"""Scores of whole splits: one model at a time, and from the sums that an ensemble collects."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.func import vmap

from gaplab.data.splits import Split
from gaplab.metrics.gap import SplitScore
from gaplab.stacked.classification_fn import Score
from gaplab.stacked.update_rules import Params

SCORED_AT_ONCE = 4_096
"""Points in one call; fewer would cost more calls, more would leave the cache."""


def summed(score: Score) -> Callable[[Params, Tensor, Tensor, Tensor], Tensor]:
    """Return a function of K models that adds up what ``score`` says of their points.

    It takes parameters and buffers, points [K, P, ...], labels [K, P] and the mask [K, P] of those that count, and
    returns float64 [3, K]: the sums of the losses, of their squares, and of the hits.
    """
    scores = vmap(score)

    def sums(params: Params, points: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        losses, hits = scores(params, points, labels)
        losses = torch.where(mask, losses, 0).double()
        return torch.stack([losses.sum(1), losses.square().sum(1), (hits & mask).sum(1).double()])

    return sums


def score_splits(score: Score, params: Params, splits: Mapping[str, Split]) -> dict[str, SplitScore]:
    """Score one model on every split but ``train``, whole."""
    scores = {}
    with torch.no_grad():
        for name, split in splits.items():
            if name == "train":
                continue
            sums = torch.zeros(3, dtype=torch.float64, device=split.labels.device)
            pieces = zip(split.points.split(SCORED_AT_ONCE), split.labels.split(SCORED_AT_ONCE), strict=True)
            for points, labels in pieces:
                losses, hits = score(params, points, labels)
                losses = losses.double()
                sums += torch.stack([losses.sum(), losses.square().sum(), hits.double().sum()])
            total, squares, correct = sums.tolist()
            scores[name] = SplitScore.of_sums(total, squares, int(correct), len(split))
    return scores
