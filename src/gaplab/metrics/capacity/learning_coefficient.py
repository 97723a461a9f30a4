"""Local learning coefficient, the parameter count of singular learning theory."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, vmap


def local_learning_coefficient(
    loss: Callable[[Tensor], Tensor],
    center: Tensor,
    num_points: int,
    *,
    generator: torch.Generator,
    localization: float = 100.0,
    step_size: float = 1e-5,
    num_chains: int = 4,
    num_steps: int = 1000,
    num_burn_in: int = 500,
) -> float:
    """λ̂ = mβ·(E[L(w)] − L(w*)) with β = 1/ln m, around the trained weights w* = ``center`` [N].

    ``loss`` maps weights [N] to the mean training loss of the m points. The expectation is over the density
    ∝ exp(−mβ·L(w) − γ/2·‖w − w*‖²), γ = ``localization``, sampled by Langevin dynamics with full gradients; the
    generator lives on the device of the weights. For a regular model λ is N/2; flat directions lower it. A
    negative value says that w* is no minimum, and the value depends on γ and on the step size: compare
    networks at equal ones. Lau, Furman, Wang, Murfet and Wei 2023 (arXiv 2308.12108).
    """
    tempered = num_points / math.log(num_points)
    slope = vmap(grad(loss))
    weights = center.expand(num_chains, -1).clone()
    excess = []
    for step in range(num_burn_in + num_steps):
        drift = tempered * slope(weights) + localization * (weights - center)
        noise = torch.randn(weights.shape, generator=generator, dtype=center.dtype, device=center.device)
        weights = weights - step_size / 2 * drift + math.sqrt(step_size) * noise
        if step >= num_burn_in:
            excess.append(vmap(loss)(weights).mean() - loss(center))
    return tempered * torch.stack(excess).mean().item()
