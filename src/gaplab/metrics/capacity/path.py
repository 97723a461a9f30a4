"""Path norm."""

import torch
from torch import Tensor

from gaplab.metrics.capacity.weights import Forward, Parameters


def squared_path_norm(forward: Forward, parameters: Parameters, points: Tensor) -> Tensor:
    """Sum over all paths from inputs and biases to outputs of the product of the squared weights, a scalar.

    Computed as the summed outputs of the network with squared parameters on an all-ones input (Neyshabur,
    Tomioka and Srebro 2015). ``points`` [P, D] only give the input shape. A path norm in this sense only for
    activations that are the identity on positive numbers, such as ReLU.
    """
    squared = {name: parameter.square() for name, parameter in parameters.items()}
    return forward(squared, torch.ones_like(points[:1])).sum()
