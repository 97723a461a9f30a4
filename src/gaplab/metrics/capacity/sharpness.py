"""Sharpness: how much noise the weights bear before the training accuracy falls."""

import torch
from torch import Tensor
from torch.func import vmap

from gaplab.metrics.capacity.weights import Forward, Parameters

MAGNITUDE_FLOOR = 1e-3
"""ε of the magnitude-aware noise: standard deviation for a weight that is zero."""


def draw_noise(parameters: Parameters, num_draws: int, generator: torch.Generator) -> Parameters:
    """Standard normal noise of shape [num_draws, *shape] for each parameter, on the parameter's device.

    The generator must live on that device.
    """
    return {
        name: torch.randn(
            num_draws, *parameter.shape, generator=generator, dtype=parameter.dtype, device=parameter.device
        )
        for name, parameter in parameters.items()
    }


def tolerated_noise(
    forward: Forward,
    parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    noise: Parameters,
    *,
    magnitude_aware: bool = False,
    accuracy_drop: float = 0.1,
    largest: float = 2.0,
    num_steps: int = 15,
) -> Tensor:
    """The noise level σ in [0, ``largest``] at which the mean training accuracy has dropped by ``accuracy_drop``.

    Every parameter, biases too, gets normal noise of standard deviation σ, or √(σ²w² + ε²) for a weight w
    when ``magnitude_aware``; ``noise`` holds the K standard normal draws [K, ...], the same ones at every σ.
    Bisection takes a fixed number of steps, so that the function can be vmapped; the answer is right to
    largest/2^(num_steps + 1), and near ``largest`` when no level hurts.

    Jiang et al. 2020; the search of Dziugaite et al. 2020, but with σ the standard deviation
    (their code passes σ² in its place).
    """

    def accuracy(parameters: Parameters) -> Tensor:
        return (forward(parameters, points).argmax(-1) == labels).to(points.dtype).mean()

    def spread(weight: Tensor, sigma: Tensor) -> Tensor:
        if magnitude_aware:
            return (sigma.square() * weight.square() + MAGNITUDE_FLOOR**2).sqrt()
        return sigma

    def noisy_accuracy(sigma: Tensor) -> Tensor:
        def accuracy_of_draw(draw: Parameters) -> Tensor:
            return accuracy({name: w + spread(w, sigma) * draw[name] for name, w in parameters.items()})

        return vmap(accuracy_of_draw)(noise).mean()

    least_accuracy = accuracy(parameters) - accuracy_drop
    low = torch.zeros_like(least_accuracy)
    high = torch.full_like(least_accuracy, largest)
    for _ in range(num_steps):
        middle = (low + high) / 2
        too_much = noisy_accuracy(middle) < least_accuracy
        low, high = torch.where(too_much, low, middle), torch.where(too_much, middle, high)
    return (low + high) / 2


def pac_bayes_sharpness(squared_norm: Tensor, sigma: Tensor, num_points: int) -> Tensor:
    """‖u‖²/(4σ²) + ln(m/σ) + 10, with ‖u‖² the squared norm of the weights or of their way from the start.

    Dziugaite et al. 2020, pacbayes_orig and pacbayes_init.
    """
    return squared_norm / (4 * sigma.square()) + torch.log(num_points / sigma) + 10


def magnitude_aware_pac_bayes_sharpness(
    squared_norm: Tensor, displacement: Tensor, sigma: Tensor, num_points: int
) -> Tensor:
    """¼·Σ_i ln[(ε² + (σ'² + 1)·‖u‖²/ω)/(ε² + σ'²·(w_i − w⁰_i)²)] + ln(m/σ') + 10.

    ``displacement`` [ω] is w − w⁰ over all weights; ‖u‖² as in ``pac_bayes_sharpness``.
    Dziugaite et al. 2020, pacbayes_mag_orig and pacbayes_mag_init.
    """
    floor = MAGNITUDE_FLOOR**2
    numerator = floor + (sigma.square() + 1) * squared_norm / displacement.numel()
    denominator = floor + sigma.square() * displacement.square()
    return (numerator / denominator).log().sum() / 4 + torch.log(num_points / sigma) + 10
