"""What a classifier is shown in training in place of the points themselves: noisy points, and mixtures of two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Gamma

NOISE, SHARES, PARTNERS = "input noise", "mixup shares", "mixup partners"
"""Names of what is drawn; no tensor of a network has a space in its own."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much the points of a batch are changed; zeros leave them alone."""

    input_noise: float = 0.0
    """Standard deviation of Gaussian noise on every coordinate (Bishop 1995, eq. 2)."""
    mixup: float = 0.0
    """The alpha of mixup: shares are drawn from Beta(alpha, alpha) (Zhang et al. 2018, section 2)."""

    def __bool__(self) -> bool:
        return self.input_noise > 0 or self.mixup > 0

    def draw(
        self, num_points: int, shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Draw for one batch, in double precision so that the numbers do not depend on that of the network.

        Args:
            num_points: Points B of the batch.
            shape: Of one point.
            dtype: Of the points.
            generator: The only source of randomness, on the CPU.

        Returns:
            The noise [B, ...], the shares [B] of the points themselves and the places [B] of those that they are
            mixed with; only what is used.
        """
        drawn = {}
        if self.input_noise:
            noise = torch.randn(num_points, *shape, generator=generator, dtype=torch.float64)
            drawn[NOISE] = (self.input_noise * noise).to(dtype)
        if self.mixup:
            alphas = torch.full((2, num_points), self.mixup, dtype=torch.float64)
            own, other = _gammas(alphas, generator)  # Beta(a, b) is G(a) / (G(a) + G(b))
            drawn[SHARES] = (own / (own + other)).to(dtype)
            drawn[PARTNERS] = torch.randperm(num_points, generator=generator)
        return drawn


def _gammas(shapes: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from Gamma(shape, 1). torch's takes no generator, so the global one stands in for it and is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(generator.get_state())
        drawn: Tensor = Gamma(shapes, torch.ones_like(shapes), validate_args=False).sample()
        generator.set_state(torch.random.get_rng_state())
    return drawn


def augmented_losses(
    network: Callable[[Tensor], Tensor],
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    points: Tensor,
    labels: Tensor,
    drawn: Mapping[str, Tensor],
) -> Tensor:
    """Return the losses [B] of a network that sees s x_i + (1 − s) x_j + noise in place of x_i.

    The loss of a mixture is s L(z, y_i) + (1 − s) L(z, y_j): for cross-entropy that of the mixed labels.

    Args:
        network: Maps points [B, ...] to logits.
        loss_fn: Maps logits and labels [B] to losses [B].
        points: [B, ...].
        labels: [B].
        drawn: Of ``Augmentation.draw``.
    """
    if (shares := drawn.get(SHARES)) is not None:
        partners = drawn[PARTNERS]
        points = torch.lerp(points[partners], points, shares.view(-1, *[1] * (points.dim() - 1)))
    if NOISE in drawn:
        points = points + drawn[NOISE]
    logits = network(points)
    losses = loss_fn(logits, labels)
    return losses if shares is None else torch.lerp(loss_fn(logits, labels[partners]), losses, shares)
