"""Initial weights by name, drawn from an explicit generator.

| name | weights of a layer with fan_in inputs and fan_out outputs | biases |
|---|---|---|
| ``default`` | U(−b, b), b = 1/√fan_in: torch's own for ``nn.Linear`` | U(−b, b) |
| ``xavier_uniform``, ``xavier_normal`` | variance 2/(fan_in + fan_out) (Glorot & Bengio 2010) | 0 |
| ``he_uniform``, ``he_normal`` | variance 2/fan_in (He et al. 2015) | 0 |
| ``lecun_normal`` | variance 1/fan_in (LeCun et al. 1998) | 0 |
| ``orthogonal`` | orthonormal rows or columns (Saxe et al. 2014) | 0 |
| ``small_normal`` | standard deviation 0.01 | 0 |
| ``zeros`` | 0 | 0 |
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import init

from gaplab.networks.choices import choose


def _default(weight: Tensor, generator: torch.Generator) -> None:
    init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)


def _xavier_uniform(weight: Tensor, generator: torch.Generator) -> None:
    init.xavier_uniform_(weight, generator=generator)


def _xavier_normal(weight: Tensor, generator: torch.Generator) -> None:
    init.xavier_normal_(weight, generator=generator)


def _he_uniform(weight: Tensor, generator: torch.Generator) -> None:
    init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)


def _he_normal(weight: Tensor, generator: torch.Generator) -> None:
    init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _lecun_normal(weight: Tensor, generator: torch.Generator) -> None:
    init.kaiming_normal_(weight, nonlinearity="linear", generator=generator)


def _orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    init.orthogonal_(weight, generator=generator)


def _small_normal(weight: Tensor, generator: torch.Generator) -> None:
    init.normal_(weight, std=0.01, generator=generator)


def _zeros(weight: Tensor, generator: torch.Generator) -> None:
    init.zeros_(weight)


INITIALIZATIONS: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "default": _default,
    "xavier_uniform": _xavier_uniform,
    "xavier_normal": _xavier_normal,
    "he_uniform": _he_uniform,
    "he_normal": _he_normal,
    "lecun_normal": _lecun_normal,
    "orthogonal": _orthogonal,
    "small_normal": _small_normal,
    "zeros": _zeros,
}


def empty_linear(in_features: int, out_features: int) -> nn.Linear:
    """An ``nn.Linear`` whose values are undefined until ``initialize`` fills them; draws no random numbers."""
    linear = nn.utils.skip_init(nn.Linear, in_features, out_features)
    assert isinstance(linear, nn.Linear)
    return linear


@torch.no_grad()
def initialize(module: nn.Module, name: str, *, gain: float = 1.0, generator: torch.Generator) -> None:
    """Fill every ``nn.Linear`` and ``nn.Conv2d`` in the order of ``module.modules()``, weight before bias.

    Args:
        module: changed in place.
        name: a key of the table above. With "default" and gain 1 the values equal, bit for bit, those of
            building the same layers in the same order under ``torch.manual_seed``.
        gain: factor on the weights (not on the biases) after the scheme has drawn them.
        generator: the only source of randomness.
    """
    draw = choose(INITIALIZATIONS, name, "initialization")
    for layer in module.modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        draw(layer.weight, generator)
        layer.weight.mul_(gain)
        if layer.bias is not None and name == "default":
            bound = 1 / math.sqrt(layer.weight[0].numel())
            init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif layer.bias is not None:
            init.zeros_(layer.bias)
