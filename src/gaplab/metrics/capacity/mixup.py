"""How often a network takes a mixture of two training points of a class for another class."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gaplab.metrics.capacity.weights import Forward, Parameters

NUM_PAIRS = 512
"""Pairs of each class: the share is then known to about 0.01, for any number of points."""


def mixup_error(
    forward: Forward, parameters: Parameters, points: Tensor, labels: Tensor, places: Tensor | None = None
) -> Tensor:
    """1 − label-wise mixup accuracy: share of the midpoints of two points of a class that get another class.

    The mean over the classes that have two points. Natekar and Sharma 2020 (arXiv 2012.02775), first of the
    competition on predicting generalization, who take all pairs within batches; here they are spread over
    the pairs of the class by a Sobol sequence, the same for every network, and their number is fixed, so
    that networks with other labels can be vmapped.

    Args:
        forward: The network as a function; called with all midpoints at once.
        parameters: Its parameters.
        points: [m, ...], of floats.
        labels: [m], below the number of logits.
        places: [Q, 2] in [0, 1): which pairs of a class. Point ⌊u·n⌋ is mixed with the ⌊v·(n − 1)⌋-th of the others.
    """
    if places is None:
        places = torch.quasirandom.SobolEngine(2).draw(NUM_PAIRS)
    places = places.to(labels.device)
    num_classes = forward(parameters, points[:1]).shape[-1]
    counts = one_hot(labels, num_classes).sum(0)
    order, starts = labels.argsort(stable=True), counts.cumsum(0) - counts
    first = (places[:, 0, None] * counts).long()
    others = (places[:, 1, None] * (counts - 1)).long()
    second = (first + 1 + others) % counts.clamp(min=1)
    last = len(labels) - 1  # a class without points reads any, and does not count
    pair = [points[order[(starts + place).clamp(max=last)].flatten()] for place in (first, second)]
    guesses = forward(parameters, (pair[0] + pair[1]) / 2).argmax(-1).unflatten(0, first.shape)
    classes = torch.arange(num_classes, device=labels.device)
    errors = (guesses != classes).to(points.dtype).mean(0)
    counted = (counts > 1).to(points.dtype)
    return (errors * counted).sum() / counted.sum()
