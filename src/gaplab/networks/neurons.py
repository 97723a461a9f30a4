"""The first artificial neurons: McCulloch & Pitts 1943 and Rosenblatt's perceptron 1958."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from gaplab.networks.activations import step
from gaplab.networks.choices import choose


class ThresholdLayer(nn.Module):
    """McCulloch–Pitts neurons: output 1 where the weighted sum of the inputs reaches the threshold, else 0.

    Weights and thresholds are preset and not trained: they are buffers, so the layer has no parameters.

    Args:
        weights: one row of input weights per neuron.
        thresholds: one threshold per neuron.
    """

    weights: Tensor
    thresholds: Tensor

    def __init__(self, weights: list[list[float]], thresholds: list[float]) -> None:
        super().__init__()
        if len(weights) != len(thresholds):
            raise ValueError(
                f"weights and thresholds must have one row per neuron, but got {len(weights)} rows "
                f"and {len(thresholds)} thresholds."
            )
        self.register_buffer("weights", torch.tensor(weights))
        self.register_buffer("thresholds", torch.tensor(thresholds))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [P, neurons] in {0, 1} of inputs [P, D]."""
        return step(linear(x, self.weights, -self.thresholds))


GATES: dict[str, list[tuple[list[list[float]], list[float]]]] = {
    "and": [([[1.0, 1.0]], [2.0])],
    "or": [([[1.0, 1.0]], [1.0])],
    "not": [([[-1.0]], [0.0])],
    # The 2-2-1 network: "or, but not and".
    "xor": [([[1.0, 1.0], [1.0, 1.0]], [1.0, 2.0]), ([[1.0, -1.0]], [1.0])],
}


def build_gate(name: str) -> nn.Sequential:
    """A logic gate of McCulloch–Pitts neurons: "and", "or", "not" (one neuron each) or "xor" (2-2-1)."""
    return nn.Sequential(*(ThresholdLayer(*layer) for layer in choose(GATES, name, "gate")))


class Perceptron(nn.Module):
    """Rosenblatt's perceptron: one linear score per class, starting from zero; the largest score wins.

    Its learning rule is ``losses.classification.perceptron_loss`` under SGD with lr 1 and batch size 1.
    """

    def __init__(self, in_features: int, out_features: int, point_ndim: int = 1) -> None:
        super().__init__()
        self.point_ndim = point_ndim
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, points: Tensor) -> Tensor:
        """Scores [P, C] of points [P, D]; the dimensions of a point are flattened."""
        points = points.flatten(-self.point_ndim) if self.point_ndim > 1 else points
        return linear(points, self.weight, self.bias)
