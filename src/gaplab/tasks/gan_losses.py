"""The two phases of a GAN: what each player sees, and what it minimises, as pure functions."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gaplab.config.gan import GANConfig, LatentLaw
from gaplab.config.knots import value_at
from gaplab.losses.adversarial import ADVERSARIAL_LOSSES, ScoreLoss
from gaplab.losses.penalties import (
    clipped_weights,
    flat_scores,
    gradient_norm_penalty,
    scores_and_gradients,
    zero_centred_penalty,
)
from gaplab.networks.conditioning import pack_samples, with_label_embedding
from gaplab.networks.fourier_features import FourierFeatures

Discriminate = Callable[[Tensor], Tensor]
"""Packs [Q, pack * D] to scores [Q]."""


class Generator(nn.Module):
    """Any network from latent variables, beside the embedding of a label if there is one, to points."""

    def __init__(self, network: nn.Module, embedding: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.embedding = None if embedding is None else nn.Parameter(embedding)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return points [P, D] of latents [P, L] and labels [P], which only a conditional GAN looks at."""
        if self.embedding is not None:
            latents = with_label_embedding(latents, labels, self.embedding)
        points: Tensor = self.network(latents)
        return points


class Discriminator(nn.Module):
    """Any network from packs of points, each beside its waves and label embedding if there are, to scores."""

    def __init__(self, network: nn.Module, pack: int = 1, embedding: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.pack = pack
        self.embedding = None if embedding is None else nn.Parameter(embedding)
        self.fourier: FourierFeatures | None = None

    def forward(self, packs: Tensor, labels: Tensor) -> Tensor:
        """Return scores [Q] of packs [Q, pack * D] and labels [Q * pack].

        Raises:
            ValueError: If the network does not give one score a pack.
        """
        if self.embedding is not None or self.fourier is not None:
            points = packs.reshape(len(labels), -1)
            if self.fourier is not None:
                points = self.fourier(points)
            if self.embedding is not None:
                points = with_label_embedding(points, labels, self.embedding)
            packs = pack_samples(points, self.pack)
        return flat_scores(self.network(packs), len(packs))


def draw_latents(config: GANConfig, num_points: int, generator: torch.Generator) -> Tensor:
    """Return latent variables [P, L] in single precision: other precisions see the same numbers."""
    match config.latent:
        case LatentLaw.normal:
            latents = torch.randn(num_points, config.latent_size, generator=generator, dtype=torch.float32)
        case LatentLaw.uniform:
            uniform = torch.rand(num_points, config.latent_size, generator=generator, dtype=torch.float32)
            latents = uniform * 2 - 1
    if not config.latent_coins:
        return latents
    coins = torch.randint(2, (num_points, config.latent_coins), generator=generator)
    return torch.cat([latents, coins * 2.0 - 1.0], dim=1)


class Penalties(NamedTuple):
    """Weights of the penalties: numbers, or scalar tensors where each of many models has its own."""

    r1: Any
    r2: Any
    gradient_penalty: Any
    factor: Any = 1.0
    """Factor on the three weights."""


def penalties_of(config: GANConfig, factor: float = 1.0) -> Penalties:
    """Return the weights that a configuration names."""
    return Penalties(config.r1, config.r2, config.gradient_penalty, factor)


def penalty_factor(config: GANConfig, step: int, num_steps: int) -> float:
    """Return what the penalties' weights are multiplied by at a step counted from 0 in which they are due."""
    done = min(step / num_steps, 1.0)
    if config.penalty_knots:
        factor = value_at(config.penalty_knots, done)
    else:
        factor = config.penalty_final_factor ** (0.5 * (1.0 - math.cos(math.pi * done)))
    return factor * config.penalty_every_n_steps


def penalties_are_due(config: GANConfig, step: int) -> bool:
    """Whether the penalties count in a step counted from 0."""
    return step % config.penalty_every_n_steps == 0


def unpenalised(config: GANConfig) -> GANConfig:
    """Return the configuration of a step in which no penalty is due."""
    return replace(config, r1=0.0, r2=0.0, gradient_penalty=0.0)


def fourier_amplitude(config: GANConfig, step: int, num_steps: int) -> float:
    """Return the amplitude of the waves that the discriminator sees at a step counted from 0."""
    return value_at(config.fourier_amplitude, min(step / num_steps, 1.0))


def discriminator_loss(
    config: GANConfig,
    discriminate: Discriminate,
    real: Tensor,
    fake: Tensor,
    *,
    mixing: Tensor | None = None,
    penalties: Penalties | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the discriminator's loss with its penalties, a mean over packs.

    Args:
        config: Names the loss, and says which penalties there are.
        discriminate: Scores of packs; it is called with real and generated packs together, in this order.
        real: Packs of real points [Q, pack * D].
        fake: Packs of generated points of the same shape; no gradient reaches them.
        mixing: Numbers in [0, 1], [Q, 1], that place the points of ``gradient_penalty``.
        penalties: Weights of the penalties; None for those of ``config``.
        weights: Weights [Q] of the packs, of mean 1; None if all count alike.
    """
    both, count = torch.cat([real, fake.detach()]), len(real)
    weighted = penalties_of(config) if penalties is None else penalties
    gradients: Tensor | None = None
    if config.r1 or config.r2:
        scores, gradients = scores_and_gradients(discriminate, both)
    else:
        scores = discriminate(both)
    more: Any = 0.0
    if config.gradient_penalty:
        assert mixing is not None, "the caller draws it where there is a gradient penalty"
        more = weighted.gradient_penalty * gradient_norm_penalty(discriminate, real, fake, mixing, weights)
    return loss_of_scores(config, scores, gradients, count, penalties=weighted, weights=weights, more=more)


def loss_of_scores(
    config: GANConfig,
    scores: Tensor,
    gradients: Tensor | None,
    count: int,
    *,
    penalties: Penalties,
    weights: Tensor | None,
    more: Any = 0.0,
) -> Tensor:
    """Return the discriminator's loss of scores [2 Q] and, for R1 and R2, their gradients [2 Q, pack * D].

    The first ``count`` are those of real packs; ``more`` is added to the penalties.
    """
    penalty = more
    if gradients is not None:
        of_real, of_fake = gradients[:count], gradients[count:]
        if weights is not None:
            of_real, of_fake = (weights.sqrt()[:, None] * part for part in (of_real, of_fake))
        penalty = penalties.r1 * zero_centred_penalty(of_real)
        penalty = penalty + penalties.r2 * zero_centred_penalty(of_fake) + more
    loss = mean_loss(ADVERSARIAL_LOSSES[config.loss].discriminator, scores[:count], scores[count:], weights)
    return loss + penalties.factor * penalty


def generator_loss(
    config: GANConfig,
    discriminate: Discriminate,
    real: Tensor,
    fake: Tensor,
    *,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the generator's loss, a mean over packs; only a relativistic one looks at the real packs.

    ``weights`` [Q] are those of the packs, of mean 1; None if all count alike.
    """
    return answer_to_scores(config, discriminate(real), discriminate(fake), weights)


def answer_to_scores(
    config: GANConfig, real_scores: Tensor, fake_scores: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the generator's loss of scores [Q]; no gradient reaches those of real packs."""
    return mean_loss(ADVERSARIAL_LOSSES[config.loss].generator, real_scores.detach(), fake_scores, weights)


def mean_loss(loss: ScoreLoss, real_scores: Tensor, fake_scores: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean loss over pairs of scores [Q], weighted if they do not count alike."""
    if weights is None:
        return loss(real_scores, fake_scores)
    each: Tensor = torch.vmap(loss)(real_scores[:, None], fake_scores[:, None])
    return (weights * each).mean()


def weight_of_past(ema: float, step: int) -> float:
    """Return ``ema``, or less in the beginning: (step + 1) / (step + 10) at a step counted from 0."""
    return min(ema, (step + 1) / (step + 10))


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, ema: float, step: int) -> None:
    """Move an average of a network's weights towards them after its ``step``-th step, counted from 0."""
    past = weight_of_past(ema, step)
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - past)
    for kept, buffer in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(buffer)


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float) -> None:
    """Move every weight of a network into [-limit, limit]."""
    clipped = clipped_weights(dict(network.named_parameters()), limit)
    for name, parameter in network.named_parameters():
        parameter.copy_(clipped[name])
