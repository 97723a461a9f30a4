"""One step of K GANs: both phases of ``tasks.gan_losses`` with their updates, as one pure function."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vjp, vmap

from gaplab.config.gan import GANConfig
from gaplab.networks.conditioning import pack_samples
from gaplab.stacked.discriminator_gradient import (
    gradient_of_scores,
    gradient_of_slopes,
    is_piecewise_linear,
)
from gaplab.stacked.stacked_optimizer import StackedOptimizer
from gaplab.stacked.step import clip_gradients
from gaplab.stacked.update_rules import Hyper, OptimizerState, Params, per_model, select, update_active
from gaplab.tasks.gan_losses import (
    Discriminate,
    Discriminator,
    Generator,
    Penalties,
    answer_to_scores,
    discriminator_loss,
    generator_loss,
    loss_of_scores,
)


class Players(NamedTuple):
    """Everything that a step changes, stacked."""

    discriminator: Params
    discriminator_state: OptimizerState
    generator: Params
    generator_state: OptimizerState
    average: Params
    """Moving average of the generator."""


GameStep = Callable[..., tuple[Players, tuple[Tensor, ...]]]


def make_game_step(
    config: GANConfig,
    networks: tuple[Discriminator, Generator],
    stacked_optimizers: Sequence[StackedOptimizer],
    *,
    both: bool,
) -> GameStep:
    """Return ``step(players, active, batch, loss_coefficients, hypers)`` for K stacked GANs.

    It returns the players after the step, and the losses [K] of the discriminator and, with ``both``, of the
    generator, each before its update.

    ``batch`` holds points [K, B, D] over the scale, labels [K, B], latents [K, B, L], the weights [K, Q] of the
    packs, ``mixing`` [K, Q, 1] where there is a gradient penalty, and the buffers of the discriminator.
    ``loss_coefficients`` hold the weights of the penalties, their factor, the weight of the present in the moving
    average, and the limit of the weights, [K] each.

    The generator runs forward once: its samples serve both phases, because the discriminator's update does
    not change them. With ``config.simultaneous`` the scores serve both as well.
    """
    discriminator, generator = networks
    of_discriminator, of_generator = stacked_optimizers

    def generate(params: Params, latents: Tensor, labels: Tensor) -> Tensor:
        points: Tensor = functional_call(generator, params, (latents, labels))
        return points

    answers = both and config.simultaneous
    sloped = bool(config.r1 or config.r2)
    direct = (sloped or answers) and not config.gradient_penalty and is_piecewise_linear(discriminator)
    buffers = [name for name, _ in discriminator.named_buffers()]

    def discriminating(params: Params, batch: Params) -> Discriminate:
        labels, state = batch["labels"], params | {name: batch[name] for name in buffers}

        def scores(packs: Tensor) -> Tensor:
            repeats = len(packs) * config.pack // len(labels)
            result: Tensor = functional_call(discriminator, state, (packs, labels.repeat(repeats)))
            return result

        return scores

    def loss_of_discriminator(
        params: Params, fake: Tensor, batch: Params, loss_coefficients: Params
    ) -> Tensor:
        return discriminator_loss(
            config,
            discriminating(params, batch),
            pack_samples(batch["points"], config.pack),
            pack_samples(fake, config.pack),
            mixing=batch.get("mixing"),
            penalties=Penalties(**{name: loss_coefficients[name] for name in Penalties._fields}),
            weights=batch["weights"],
        )

    def gradients_of_discriminator(
        params: Params, fake: Tensor, batch: Params, loss_coefficients: Params
    ) -> tuple[Any, ...]:
        """Return the gradient by ``params`` and the loss, and the generator's where it answers these weights."""
        if not direct:
            own: tuple[Any, ...] = grad_and_value(loss_of_discriminator)(
                params, fake, batch, loss_coefficients
            )
            return own + grad_and_value(loss_of_generator)(fake, params, batch) if answers else own
        loss = partial(
            loss_of_scores,
            config,
            count=len(batch["weights"]),
            penalties=Penalties(**{name: loss_coefficients[name] for name in Penalties._fields}),
            weights=batch["weights"],
        )
        packs = pack_samples(torch.cat([batch["points"], fake]), config.pack)
        waves, count = {name: batch[name] for name in buffers}, len(batch["weights"])

        def answer(scores: Tensor) -> Tensor:
            return answer_to_scores(config, scores[:count], scores[count:], batch["weights"])

        if sloped:
            answering = answer if answers else None
            found = gradient_of_slopes(discriminator, params, waves, packs, loss, answering)
        else:
            found = gradient_of_scores(
                discriminator, params, waves, packs, lambda scores: loss(scores, None), answer
            )
        return (*found[:2], found.fake.reshape(fake.shape), found.answer) if answers else found[:2]

    def loss_of_generator(fake: Tensor, params: Params, batch: Params) -> Tensor:
        return generator_loss(
            config,
            discriminating(params, batch),
            pack_samples(batch["points"], config.pack),
            pack_samples(fake, config.pack),
            weights=batch["weights"],
        )

    def step(
        players: Players, active: Tensor, batch: Params, loss_coefficients: Params, hypers: Sequence[Hyper]
    ) -> tuple[Players, tuple[Tensor, ...]]:
        d, d_state, g, g_state, average = players
        generated = vmap(generate)
        pull: Any = None
        if both:
            # Models do not mix, so the pullback of the stack is the stack of pullbacks.
            fake, pull, *_ = vjp(lambda p: generated(p, batch["latents"], batch["labels"]), g)
        else:
            fake = generated(g, batch["latents"], batch["labels"])
        grads, d_losses, *answered = vmap(gradients_of_discriminator)(d, fake, batch, loss_coefficients)
        if of_discriminator.clips:
            grads = clip_gradients(grads, hypers[0]["max_grad_norm"])
        d, d_state = update_active(of_discriminator.update, d, grads, d_state, hypers[0], active)
        if config.clip_weights is not None:
            limits = {key: per_model(loss_coefficients["clip_weights"], p) for key, p in d.items()}
            d = select(active, {key: torch.clamp(p, -limits[key], limits[key]) for key, p in d.items()}, d)
        if not both:
            return Players(d, d_state, g, g_state, average), (d_losses,)
        slopes, g_losses = answered or vmap(grad_and_value(loss_of_generator))(fake, d, batch)
        (grads,) = pull(slopes)
        if of_generator.clips:
            grads = clip_gradients(grads, hypers[1]["max_grad_norm"])
        g, g_state = update_active(of_generator.update, g, grads, g_state, hypers[1], active)
        moved = {
            key: torch.lerp(average[key], p, per_model(loss_coefficients["present"], p))
            for key, p in g.items()
        }
        average = select(active, moved, average)
        return Players(d, d_state, g, g_state, average), (d_losses, g_losses)

    return step
