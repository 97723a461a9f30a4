"""Local learning coefficient, the parameter count of singular learning theory."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, vmap

LOCALIZATION = 100.0
"""γ, the precision that keeps the chains near the trained weights."""
MIXED = 1.1
"""Largest R̂ of chains that have forgotten where they began (Gelman et al. 2013, section 11.4)."""


class LearningCoefficient(NamedTuple):
    """The mean λ̂ of the chains, and how far they can be trusted."""

    mean: float
    spread: float
    """Standard deviation over the chains."""
    r_hat: float
    """Split R̂ of the chains' losses."""


def local_learning_coefficient(
    loss: Callable[[Tensor], Tensor],
    center: Tensor,
    num_points: int,
    *,
    generator: torch.Generator,
    localization: float = LOCALIZATION,
    step_size: float = 1e-5,
    num_chains: int = 4,
    num_steps: int = 1000,
    num_burn_in: int = 500,
) -> LearningCoefficient:
    """λ̂ = mβ·(E[L(w)] − L(w*)) with β = 1/ln m, around the trained weights w* = ``center`` [N].

    ``loss`` maps weights [N] to the mean training loss of the m points. The expectation is over the density
    ∝ exp(−mβ·L(w) − γ/2·‖w − w*‖²), γ = ``localization``, sampled by Langevin dynamics with full gradients; the
    generator lives on the device of the weights. For a regular model λ is N/2; flat directions lower it. The
    value depends on γ, and on steps that are not small beside ``langevin_step``. Whether the chains can be
    trusted: ``complaint``. Lau, Furman, Wang, Murfet and Wei 2023 (arXiv 2308.12108).
    """
    tempered = num_points / math.log(num_points)
    slope, losses = vmap(grad(loss)), vmap(loss)
    weights = center.expand(num_chains, -1).clone()
    drawn = []
    for step in range(num_burn_in + num_steps):
        drift = tempered * slope(weights) + localization * (weights - center)
        noise = torch.randn(weights.shape, generator=generator, dtype=center.dtype, device=center.device)
        weights = weights - step_size / 2 * drift + math.sqrt(step_size) * noise
        if step >= num_burn_in:
            drawn.append(losses(weights))
    excess = tempered * (torch.stack(drawn, dim=1) - loss(center))
    means = excess.mean(dim=1)
    return LearningCoefficient(means.mean().item(), means.std().item(), split_r_hat(excess))


def langevin_step(top_eigenvalue: float, num_points: int, localization: float = LOCALIZATION) -> float:
    """Half the inverse of the largest curvature γ + mβ·λ_max of the sampled density's exponent.

    Steps of size ε widen the variance along curvature a by 1/(1 − εa/4), so by a seventh at most, and diverge
    from ε = 4/a on.
    """
    return 0.5 / (localization + num_points / math.log(num_points) * max(top_eigenvalue, 0.0))


def split_r_hat(draws: Tensor) -> float:
    """√((n − 1)/n + B/W) of the halves of all chains; near 1 where they agree with each other and with themselves.

    ``draws`` [chains, steps]; n is the length of a half, B the variance of the halves' means, W the mean of
    their variances (Gelman et al. 2013, section 11.4).
    """
    length = draws.shape[1] // 2
    halves = torch.cat([draws[:, :length], draws[:, -length:]]).double()
    within, between = halves.var(dim=1).mean(), halves.mean(dim=1).var()
    return ((length - 1) / length + between / within).sqrt().item()


def complaint(mean: float, r_hat: float) -> str | None:
    """Say why an estimate is not to be trusted; None where nothing speaks against it."""
    if not math.isfinite(mean):
        return "its chains diverged; take smaller steps"
    if mean < 0:
        return f"it is negative ({mean:.3g}): the weights are no minimum of the training loss, train longer"
    if r_hat > MIXED:
        return f"its chains have not mixed (R̂ = {r_hat:.2f} > {MIXED}); take more steps"
    return None
