"""Penalties and constraints on a discriminator, as pure functions of a callable and points.

A discriminator is any callable ``points [P, D] -> scores [P] or [P, 1]`` in which a score depends on its own
point only (so no batch normalisation). Labels of a conditional discriminator enter through a closure; for a
packing one, a point is a pack. Gradients are taken by ``torch.func.vjp``, which works under ordinary autograd
(weights that the callable closes over receive gradients) and inside ``torch.func.grad`` and ``vmap``, where
``torch.autograd.grad`` does not.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Discriminator = Callable[[Tensor], Tensor]


def scores_and_gradients(discriminator: Discriminator, points: Tensor) -> tuple[Tensor, Tensor]:
    """Scores [P] and the gradient [P, D] of each score by its own point, from one forward pass.

    Loss and penalty can share that pass. Raises ValueError when there is not one score per point.
    """
    scores, pullback, *_ = torch.func.vjp(lambda x: flat_scores(discriminator(x), len(points)), points)
    (gradients,) = pullback(torch.ones_like(scores))
    return scores, gradients


def flat_scores(scores: Tensor, num_points: int) -> Tensor:
    """Scores as a vector [P]. Raises ValueError unless they came as [P] or [P, 1]."""
    if scores.shape not in ((num_points,), (num_points, 1)):
        raise ValueError(
            f"a discriminator must return one score per point, shape [{num_points}] or [{num_points}, 1]; "
            f"got {list(scores.shape)}. Give it an output of width 1."
        )
    return scores.reshape(num_points)


def zero_centred_penalty(gradients: Tensor) -> Tensor:
    """½·mean of ‖∇D‖² over the points whose gradients [P, D] are given. Weight it with γ."""
    return 0.5 * gradients.square().sum(dim=1).mean()


def one_centred_penalty(gradients: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of (‖∇D‖ − 1)², possibly weighted [P]. Its own gradient at ‖∇D‖ = 0 is taken as 0, not NaN."""
    squared = gradients.square().sum(dim=1)
    flat = squared == 0
    norms = torch.where(
        flat, torch.zeros_like(squared), torch.where(flat, torch.ones_like(squared), squared).sqrt()
    )
    deviations = (norms - 1).square()
    return (deviations if weights is None else weights * deviations).mean()


def r1_penalty(discriminator: Discriminator, real_points: Tensor) -> Tensor:
    """R1 = ½·E‖∇D(x)‖² at real points; add γ·R1 to the discriminator's loss.

    Source: Mescheder et al. 2018.
    """
    return zero_centred_penalty(scores_and_gradients(discriminator, real_points)[1])


def r2_penalty(discriminator: Discriminator, fake_points: Tensor) -> Tensor:
    """R2 = ½·E‖∇D(G(z))‖²: R1's formula at generated points. No gradient reaches the generator.

    Source: Mescheder et al. 2018; with R1 the regulariser of R3GAN (Huang et al. 2025).
    """
    return zero_centred_penalty(scores_and_gradients(discriminator, fake_points.detach())[1])


def gradient_norm_penalty(
    discriminator: Discriminator,
    real_points: Tensor,
    fake_points: Tensor,
    mixing: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """WGAN-GP's penalty E(‖∇D(x̂)‖ − 1)² at x̂ = u·real + (1 − u)·fake; add λ times it.

    ``mixing`` holds one u in [0, 1] per pair, [P, 1], drawn by the caller: randomness stays outside.
    ``weights`` [P] of the pairs, if they do not count alike.
    Source: Gulrajani et al. 2017, equation 3.
    """
    if real_points.shape != fake_points.shape:
        raise ValueError(
            "the penalty mixes real and generated points pairwise, so both need one shape; "
            f"got {list(real_points.shape)} and {list(fake_points.shape)}"
        )
    between = mixing * real_points + (1 - mixing) * fake_points.detach()
    return one_centred_penalty(scores_and_gradients(discriminator, between)[1], weights)


def clipped_weights(parameters: Mapping[str, Tensor], limit: float) -> dict[str, Tensor]:
    """Every weight moved into [−limit, limit]: the constraint of the first Wasserstein GAN.

    Source: Arjovsky et al. 2017, algorithm 1 (limit 0.01).
    """
    if not limit > 0:
        raise ValueError(f"the weight clipping limit must be above 0, got {limit}")
    return {name: parameter.clamp(-limit, limit) for name, parameter in parameters.items()}
