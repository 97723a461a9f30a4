"""Margins of a classifier: how far the true class is ahead."""

import torch
from torch import Tensor


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the true class minus the largest other logit, [P] from logits [P, C]; negative when wrong."""
    true_class = torch.nn.functional.one_hot(labels, logits.shape[-1]).bool()
    true_logit = torch.where(true_class, logits, 0.0).sum(-1)
    return true_logit - torch.where(true_class, -torch.inf, logits).amax(-1)


def tenth_percentile_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The ⌊P/10⌋-th smallest margin (the smallest for P < 20): a minimum without outliers."""
    ordered = margins(logits, labels).sort().values
    return ordered[max(len(ordered) // 10, 1) - 1]


def reached_margin(margin: Tensor) -> Tensor:
    """The margin, or 0 where it is negative, so that 1/γ² and −ln γ become infinite.

    A network that misclassifies a tenth of its training points has no positive margin γ to be normalised by.
    The code of Dziugaite et al. takes |γ| there, which calls a network safer the more it errs.
    """
    return margin.clamp(min=0.0)
