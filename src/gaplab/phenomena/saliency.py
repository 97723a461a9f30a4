"""Saliency: does the gradient of a network's answer by its input point where that of the law's answer does?"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cosine_similarity

from gaplab.data.spirals import arm_residual
from gaplab.phenomena.training import Networks

NOISE = 0.2
"""Standard deviation of the angle around the arms of ``draw_spirals``, in radians."""


def log_likelihoods(points: Tensor, num_arms: int) -> Tensor:
    """Return log p(x | c) [P, C] of spirals but for a term that all arms share: −½ (residual angle / noise)²."""
    arms = torch.arange(num_arms)
    residuals = [arm_residual(points, num_arms, arm.expand(len(points))) for arm in arms]
    return -0.5 * (torch.stack(residuals, dim=1) / NOISE).square()


def slopes(scores: Callable[[Tensor], Tensor], points: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the gradient [P, 2] of ``scores(points)[:, first] - scores(points)[:, second]`` by each point."""

    def lead(point: Tensor, a: Tensor, b: Tensor) -> Tensor:
        found = scores(point[None])[0]
        return found.gather(0, a[None])[0] - found.gather(0, b[None])[0]

    return vmap(grad(lead))(points, first, second)


def agreement(networks: Networks, points: Tensor, num_arms: int) -> list[Tensor]:
    """Return, of each network, the cosines [P] of its saliency and the law's at its points [K, P, 2].

    Both are gradients of the lead of the arm that is likeliest by the law over the one that comes next.
    """
    found = []
    for index, own in enumerate(points):
        first, second = log_likelihoods(own, num_arms).topk(2, dim=1).indices.T
        one: dict[str, Tensor] = {name: value[index] for name, value in networks.parameters.items()}

        def scores(x: Tensor, one: dict[str, Tensor] = one) -> Tensor:
            return functional_call(networks.template, one, (x,))

        law = slopes(lambda x: log_likelihoods(x, num_arms), own, first, second)
        found.append(cosine_similarity(slopes(scores, own, first, second), law, dim=1))
    return found


def means_on_arm(cosines: Sequence[Tensor], arms: Tensor, arm: int) -> list[float]:
    """Return the mean cosine of each network at its points of an arm."""
    return [float(found[own == arm].mean()) for found, own in zip(cosines, arms, strict=True)]
