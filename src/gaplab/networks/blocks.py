"""Hidden blocks: each maps [P, in_features] to [P, out_features]. φ is the activation."""

import torch
from torch import Tensor, nn

from gaplab.networks.activations import build_activation
from gaplab.networks.initialization import empty_linear

INCEPTION_DEPTHS = (1, 2, 3)


class PlainBlock(nn.Module):
    """φ(N(Wx + b)); N is nothing until a network puts a norm there."""

    def __init__(self, in_features: int, out_features: int, activation: str) -> None:
        super().__init__()
        self.linear = empty_linear(in_features, out_features)
        self.norm: nn.Module | None = None
        self.activation = build_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        z = self.linear(x)
        return self.activation(z if self.norm is None else self.norm(z))


class ResidualBlock(nn.Module):
    """Sx + V·φ(Wx + b) + c (He et al. 2016).

    S is the identity, or a learned projection where the widths differ.
    """

    def __init__(self, in_features: int, out_features: int, activation: str) -> None:
        super().__init__()
        self.skip = _skip(in_features, out_features)
        self.inner = empty_linear(in_features, out_features)
        self.activation = build_activation(activation)
        self.outer = empty_linear(out_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.outer(self.activation(self.inner(x)))


class HighwayBlock(nn.Module):
    """T(x)·φ(Wx + b) + (1 − T(x))·Sx with the gate T = σ(Ux + a) (Srivastava et al. 2015).

    S is the identity, or a learned projection where the widths differ. The network that owns the block sets
    the gate's bias to ``GATE_BIAS`` after initialisation, so that at first the input mostly passes through.
    """

    GATE_BIAS = -1.0

    def __init__(self, in_features: int, out_features: int, activation: str) -> None:
        super().__init__()
        self.skip = _skip(in_features, out_features)
        self.linear = empty_linear(in_features, out_features)
        self.activation = build_activation(activation)
        self.gate = empty_linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate(x).sigmoid()
        return gate * self.activation(self.linear(x)) + (1 - gate) * self.skip(x)


class GatedLinearBlock(nn.Module):
    """φ(Wx + b)·(Vx + c).

    GLU for φ = sigmoid (Dauphin et al. 2017); ReGLU, GEGLU, SwiGLU for relu, gelu, silu (Shazeer 2020).
    """

    def __init__(self, in_features: int, out_features: int, activation: str) -> None:
        super().__init__()
        self.gate = empty_linear(in_features, out_features)
        self.activation = build_activation(activation)
        self.linear = empty_linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.gate(x)) * self.linear(x)


class InceptionBlock(nn.Module):
    """Parallel branches of 1, 2 and 3 plain layers, concatenated (the idea of Szegedy et al. 2015).

    The branches share ``out_features`` as evenly as possible, the shallow ones first to get one more.
    """

    def __init__(self, in_features: int, out_features: int, activation: str) -> None:
        super().__init__()
        num_branches = len(INCEPTION_DEPTHS)
        if out_features < num_branches:
            raise ValueError(
                f"widths of inception blocks must be at least {num_branches}, but got {out_features}."
            )
        self.branches = nn.ModuleList()
        for branch, depth in enumerate(INCEPTION_DEPTHS):
            width = (out_features + num_branches - 1 - branch) // num_branches
            layers = [PlainBlock(in_features if i == 0 else width, width, activation) for i in range(depth)]
            self.branches.append(nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=-1)


BLOCKS: dict[str, type[nn.Module]] = {
    "plain": PlainBlock,
    "residual": ResidualBlock,
    "highway": HighwayBlock,
    "glu": GatedLinearBlock,
    "inception": InceptionBlock,
}


def _skip(in_features: int, out_features: int) -> nn.Module:
    return nn.Identity() if in_features == out_features else empty_linear(in_features, out_features)
