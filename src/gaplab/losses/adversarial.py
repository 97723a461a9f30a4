"""Adversarial losses as pairs of pure functions of discriminator outputs.

Each function maps ``(real_scores, fake_scores)``, raw outputs ("logits") of equal shape, to a scalar to
minimise. Gradient penalties are separate (``gaplab.losses.penalties``) and combine with every loss.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

ScoreLoss = Callable[[Tensor, Tensor], Tensor]


class AdversarialLoss(NamedTuple):
    """What the two players minimise, and where it was published."""

    discriminator: ScoreLoss
    generator: ScoreLoss
    source: str


def logistic_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Cross-entropy −log σ(D(x)) − log(1 − σ(D(G(z)))); 2 ln 2 when all scores are 0."""
    return softplus(-real_scores).mean() + softplus(fake_scores).mean()


def minimax_generator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """log(1 − σ(D(G(z)))): the original game; its gradient fades when the discriminator is sure."""
    return -softplus(fake_scores).mean()


def non_saturating_generator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """−log σ(D(G(z)))."""
    return softplus(-fake_scores).mean()


def least_squares_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """½(D(x) − 1)² + ½D(G(z))²."""
    return 0.5 * (real_scores - 1).square().mean() + 0.5 * fake_scores.square().mean()


def least_squares_generator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """½(D(G(z)) − 1)²."""
    return 0.5 * (fake_scores - 1).square().mean()


def hinge_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z)))."""
    return relu(1 - real_scores).mean() + relu(1 + fake_scores).mean()


def wasserstein_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """D(G(z)) − D(x): minus the estimated distance, if the discriminator is kept Lipschitz."""
    return fake_scores.mean() - real_scores.mean()


def score_generator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """−D(G(z)), the generator of both the hinge and the Wasserstein game."""
    return -fake_scores.mean()


def relativistic_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """softplus(−(D(x) − D(G(z)))): each real point is paired with one generated point."""
    return softplus(fake_scores - real_scores).mean()


def relativistic_generator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """softplus(−(D(G(z)) − D(x)))."""
    return softplus(real_scores - fake_scores).mean()


ADVERSARIAL_LOSSES: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(
        logistic_discriminator_loss, minimax_generator_loss, "Goodfellow et al. 2014, equation 1"
    ),
    "non_saturating": AdversarialLoss(
        logistic_discriminator_loss, non_saturating_generator_loss, "Goodfellow et al. 2014, section 3"
    ),
    "least_squares": AdversarialLoss(
        least_squares_discriminator_loss, least_squares_generator_loss, "Mao et al. 2017 (a = 0, b = c = 1)"
    ),
    "hinge": AdversarialLoss(
        hinge_discriminator_loss, score_generator_loss, "Lim & Ye 2017; Miyato et al. 2018"
    ),
    "wasserstein": AdversarialLoss(
        wasserstein_discriminator_loss, score_generator_loss, "Arjovsky et al. 2017; Gulrajani et al. 2017"
    ),
    "relativistic": AdversarialLoss(
        relativistic_discriminator_loss,
        relativistic_generator_loss,
        "Jolicoeur-Martineau 2018; Huang et al. 2025 (R3GAN)",
    ),
}
