"""Losses of real targets as pure functions: outputs and targets [B, ...] in, one loss an example [B] out.

They sum over the targets of an example. The caller averages over examples.
"""

import functools
import math
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional


def squared_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The sum of (output − target)² over the targets."""
    return (outputs - targets).square().flatten(1).sum(dim=1)


def absolute_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The sum of |output − target| over the targets."""
    return (outputs - targets).abs().flatten(1).sum(dim=1)


def huber_loss(outputs: Tensor, targets: Tensor, delta: float = 1.0) -> Tensor:
    """e²/2 for residuals e up to ``delta`` and delta (|e| − delta/2) beyond, summed over the targets (Huber 1964)."""
    return functional.huber_loss(outputs, targets, reduction="none", delta=delta).flatten(1).sum(dim=1)


def regression_loss(name: str, huber_delta: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss called ``squared``, ``absolute`` or ``huber``."""
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "squared": squared_loss,
        "absolute": absolute_loss,
        "huber": functools.partial(huber_loss, delta=huber_delta),
    }
    return losses[name]


def bayes_loss(name: str, noise: float, num_targets: int = 1, huber_delta: float = 1.0) -> float:
    """Return the smallest expected loss where targets are a function of the point plus N(0, noise²).

    The best predictor is that function, as the noise is symmetric; what remains is the mean loss of the noise:
    noise² for the squared, noise √(2/π) for the absolute loss, and with a = delta/noise for Huber's
    noise² (erf(a/√2) − a √(2/π) exp(−a²/2)) / 2 + delta noise √(2/π) exp(−a²/2) − delta² erfc(a/√2) / 2.

    >>> bayes_loss("squared", 0.3, num_targets=2)
    0.18
    """
    if noise == 0:
        return 0.0
    mean_absolute = noise * math.sqrt(2 / math.pi)
    if name == "squared":
        one = noise**2
    elif name == "absolute":
        one = mean_absolute
    else:
        a = huber_delta / noise
        tail = mean_absolute * math.exp(-(a**2) / 2)
        inside = noise**2 * math.erf(a / math.sqrt(2)) - huber_delta * tail
        one = inside / 2 + huber_delta * tail - huber_delta**2 * math.erfc(a / math.sqrt(2)) / 2
    return num_targets * one


def as_matrix(values: Tensor) -> Tensor:
    """Return targets or outputs [B] or [B, ...] as [B, T]."""
    return values.reshape(len(values), math.prod(values.shape[1:]))
