"""Measures from gradients of single-point losses."""

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from gaplab.metrics.capacity.weights import Forward, Parameters


def fisher_rao_norm(
    forward: Forward, parameters: Parameters, points: Tensor, labels: Tensor, *, chunk_size: int = 256
) -> Tensor:
    """‖θ‖²_fr = E[⟨θ, ∂ℓ/∂θ⟩²] over the points, with ℓ the cross-entropy.

    For a bias-free network with L hidden ReLU layers it equals (L + 1)²·E[⟨∂ℓ/∂f, f⟩²]; the definition used
    here also covers biases and other activations (Liang, Poggio, Rakhlin and Stokes 2019).
    """

    def radial_slope(point: Tensor, label: Tensor) -> Tensor:
        gradient = _gradient(forward, parameters, point[None], label[None])
        return torch.stack([(parameters[name] * part).sum() for name, part in gradient.items()]).sum()

    return vmap(radial_slope, chunk_size=chunk_size)(points, labels).square().mean()


def gradient_variance(
    forward: Forward, parameters: Parameters, points: Tensor, labels: Tensor, *, chunk_size: int = 256
) -> Tensor:
    """E‖∂ℓ_i/∂θ − ∂L/∂θ‖² over single points: the trace of the gradients' covariance.

    The gradient of a batch of B points has about 1/B of it. Jiang et al. 2020 measure it at the end of
    training.
    """

    def squared_norm(point: Tensor, label: Tensor) -> Tensor:
        return _squared_norm(_gradient(forward, parameters, point[None], label[None]))

    second_moment = vmap(squared_norm, chunk_size=chunk_size)(points, labels).mean()
    return second_moment - _squared_norm(_gradient(forward, parameters, points, labels))


def _gradient(forward: Forward, parameters: Parameters, points: Tensor, labels: Tensor) -> Parameters:
    def mean_loss(parameters: Parameters) -> Tensor:
        return cross_entropy(forward(parameters, points), labels)

    return grad(mean_loss)(parameters)


def _squared_norm(gradients: Parameters) -> Tensor:
    return torch.stack([gradient.square().sum() for gradient in gradients.values()]).sum()
