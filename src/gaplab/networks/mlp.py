"""The multi-layer perceptron and its relatives, from a linear softmax model to shortcut networks."""

import torch
from torch import Tensor, nn

from gaplab.networks.blocks import BLOCKS, HighwayBlock, PlainBlock
from gaplab.networks.choices import choose
from gaplab.networks.dropout import Dropout
from gaplab.networks.initialization import empty_linear, initialize
from gaplab.networks.normalization import build_norm


class MLP(nn.Module):
    """Hidden blocks, then one linear output layer.

    ``widths`` lists the hidden blocks from input to output:

    - ``[]``: Linear(in, out), the softmax model;
    - ``[a]``: block(in → a), Linear(a, out), a network with one hidden layer;
    - ``[a, b]``: block(in → a), block(a → b), Linear(b, out).

    With "plain" blocks and no dropout that is Linear, φ, Linear, φ, …, Linear, in this order of
    initialisation.

    Args:
        in_features: input dimensions D.
        out_features: number of logits C.
        widths: outputs of each hidden block.
        activation: a name of ``activations.ACTIVATIONS``.
        block: a name of ``blocks.BLOCKS``.
        dropout: share of features zeroed after each hidden block in training mode. Draw the masks before
            each step with ``draw_dropout_masks``.
        dense_skip: each block and the output layer see the input and *all* earlier blocks, concatenated in
            this order, as in Lang & Witbrock 1988.
        initialization: a name of ``initialization.INITIALIZATIONS``.
        gain: factor on the initial weights.
        norm: a name of ``normalization.build_norm``; it stands before the activation of plain blocks.
        generator: the only source of randomness; the global stream is not touched.
        point_ndim: dimensions of one point, for example 3 of an image [C, H, W]; they are flattened.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        widths: list[int],
        *,
        activation: str = "relu",
        block: str = "plain",
        dropout: float = 0.0,
        dense_skip: bool = False,
        initialization: str = "default",
        gain: float = 1.0,
        norm: str = "none",
        generator: torch.Generator,
        point_ndim: int = 1,
    ) -> None:
        super().__init__()
        if any(width < 1 for width in widths):
            raise ValueError(f"widths must be positive, but got {widths}.")
        build_block = choose(BLOCKS, block, "block")
        self.dense_skip = dense_skip
        self.point_ndim = point_ndim
        self.hidden = nn.ModuleList()
        features = in_features
        for width in widths:
            layer = build_block(features, width, activation)
            if isinstance(layer, PlainBlock):
                layer.norm = next(iter(build_norm(norm, width)), None)
            self.hidden.append(nn.Sequential(layer, Dropout(width, dropout)) if dropout > 0 else layer)
            features = features + width if dense_skip else width
        self.output = empty_linear(features, out_features)
        initialize(self, initialization, gain=gain, generator=generator)
        for module in self.modules():
            if isinstance(module, HighwayBlock):
                nn.init.constant_(module.gate.bias, HighwayBlock.GATE_BIAS)

    def forward(self, points: Tensor) -> Tensor:
        """Logits [P, C] of points [P, D], or of points with other dimensions that have D numbers."""
        x = points.flatten(-self.point_ndim) if self.point_ndim > 1 else points
        for layer in self.hidden:
            x = torch.cat((x, layer(x)), dim=-1) if self.dense_skip else layer(x)
        return self.output(x)


def num_parameters(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
