"""Losses of classifiers as pure functions: logits [P, C] and labels [P] in, one loss a point [P] out.

The caller averages: over a batch that several processes share, or over a whole split with its variance.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """−log softmax(logits)[label], in nats.

    With ``label_smoothing`` s the target is 1 − s + s/C for the true class and s/C for the others (Szegedy et
    al. 2016).
    """
    return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")


def perceptron_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """max_j z_j − z_y: zero for a right answer.

    Its SGD step with lr 1 and batch size 1 is Rosenblatt's rule (in Duda & Hart's multi-class form): after a
    mistake the input is added to the weights of the true class and subtracted from those of the winner. A
    tie counts as right where the true class comes first, as ``argmax`` decides it.
    """
    winner = logits.argmax(dim=1, keepdim=True)
    return (logits.gather(1, winner) - logits.gather(1, labels[:, None])).squeeze(1)


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared distance to the targets, summed over outputs.

    With C ≥ 2 outputs the targets are one-hot. With one output [P, 1] they are −1 and +1 for labels 0 and 1;
    half of that value is TensorFlow Playground's loss.
    """
    targets = 2.0 * labels[:, None] - 1 if logits.shape[1] == 1 else _one_hot(logits, labels)
    return (logits - targets).square().sum(dim=1)


def hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """max(0, 1 + max_{j≠y} z_j − z_y): zero from margin 1 on (Crammer & Singer 2001)."""
    others = logits.masked_fill(_one_hot(logits, labels).bool(), -torch.inf)
    true = logits.gather(1, labels[:, None]).squeeze(1)
    return torch.relu(1 + others.amax(dim=1) - true)


def over_members(
    loss_fn: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of a committee's logits [P, M, C]: the sum over its members, so that each learns as if alone."""

    def losses(logits: Tensor, labels: Tensor) -> Tensor:
        return torch.stack([loss_fn(member, labels) for member in logits.unbind(1)]).sum(0)

    return losses


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "perceptron": perceptron_loss,
    "squared_error": squared_error,
    "hinge": hinge,
}


def _one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    # Not functional.one_hot: with labels batched by vmap it would need the number of classes at run time.
    return (labels[:, None] == torch.arange(logits.shape[1], device=labels.device)).to(logits)
