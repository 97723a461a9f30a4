"""Activation functions by name, the classical ones of the textbooks included.

| name | value |
|---|---|
| ``identity`` | x |
| ``ramp`` | x clipped to [−1, 1] ("hard tanh") |
| ``step`` | 1 for x ≥ 0, else 0 (Heaviside; the threshold of McCulloch & Pitts) |
| ``sign`` | +1 for x ≥ 0, else −1 |
| ``step_ste``, ``sign_ste`` | the same values with a straight-through gradient |

``step`` and ``sign`` have derivative 0 wherever they have one, so gradient descent cannot move what lies below
them. The straight-through estimator (Bengio, Léonard & Courville 2013, in the clipped form of Hubara et al.
2016) keeps the value and takes the derivative of ``ramp`` instead: 1 for |x| ≤ 1, else 0.

The other names are those of the ``torch.nn`` classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gaplab.networks.choices import choose


def step(x: Tensor) -> Tensor:
    """1 where x ≥ 0, else 0; gradient 0 everywhere."""
    # floor keeps the graph connected with an exact zero gradient; a comparison would cut it.
    return (x.floor() + 1).clamp(0, 1)


def sign(x: Tensor) -> Tensor:
    """+1 where x ≥ 0, else −1; gradient 0 everywhere."""
    return 2 * step(x) - 1


def straight_through(hard: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Value of ``hard(x)``, gradient 1 for |x| ≤ 1, else 0."""
    # Not clamp: at its ends torch 2.14 took the gradient 0 where it had been 1.
    soft = torch.where(x.abs() <= 1, x, 0.0)
    return hard(x).detach() + (soft - soft.detach())


class Step(nn.Module):
    """See ``step``."""

    def forward(self, x: Tensor) -> Tensor:
        return step(x)


class Sign(nn.Module):
    """See ``sign``."""

    def forward(self, x: Tensor) -> Tensor:
        return sign(x)


class StraightThroughStep(nn.Module):
    """``step`` with the gradient of ``ramp``."""

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(step, x)


class StraightThroughSign(nn.Module):
    """``sign`` with the gradient of ``ramp``."""

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(sign, x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "ramp": nn.Hardtanh,
    "step": Step,
    "sign": Sign,
    "step_ste": StraightThroughStep,
    "sign_ste": StraightThroughSign,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softsign": nn.Softsign,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "mish": nn.Mish,
}


def build_activation(name: str) -> nn.Module:
    """The activation called ``name``; ValueError lists all names."""
    return choose(ACTIVATIONS, name, "activation")()
