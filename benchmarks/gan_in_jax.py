"""The game of ``experiment=gan_ring`` in JAX, ``jit(vmap(scan))``, for ``benchmarks/gan_ensemble.py``."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import torch
from torch import Tensor

from gaplab.stacked.gans import DISCRIMINATOR, StackedGANs


def mlp(params, x):
    """Apply linear layers, in the order of their weights and biases, with ReLU between them."""
    for weight, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
        x = jax.nn.relu(x @ weight.T + bias)
    return x @ params[-2].T + params[-1]


def scores(params, waves, amplitude, points):
    """Return the scores [P] of points [P, 2] and their waves."""
    seen = math.sqrt(2) * amplitude * jnp.sin(points @ waves["fourier.waves"].T + waves["fourier.phases"])
    return mlp(params, jnp.concatenate([points, seen], 1))[:, 0]


def loss_of_discriminator(params, waves, fake, given, coefficients):
    """Return the relativistic loss with R1 and R2."""
    count, both = len(fake), jnp.concatenate([given["points"], fake])
    found, pull = jax.vjp(lambda x: scores(params, waves, given["amplitude"], x), both)
    squares = 0.5 * jnp.square(pull(jnp.ones_like(found))[0]).sum(1)
    penalty = coefficients["r1"] * squares[:count].mean() + coefficients["r2"] * squares[count:].mean()
    return jax.nn.softplus(found[count:] - found[:count]).mean() + given["factor"] * penalty


def loss_of_generator(fake, params, waves, given):
    """Return the relativistic loss of samples."""
    real = jax.lax.stop_gradient(scores(params, waves, given["amplitude"], given["points"]))
    return jax.nn.softplus(real - scores(params, waves, given["amplitude"], fake)).mean()


def adam(params, grads, state, lr, hyper):
    """Return parameters and state after a step of Adam."""
    mean, square, steps = state
    steps, over = steps + 1, jax.tree.map
    mean = over(lambda m, g: hyper["beta1"] * m + (1 - hyper["beta1"]) * g, mean, grads)
    square = over(lambda s, g: hyper["beta2"] * s + (1 - hyper["beta2"]) * g * g, square, grads)
    size, correction = lr / (1 - hyper["beta1"] ** steps), jnp.sqrt(1 - hyper["beta2"] ** steps)
    moved = over(
        lambda p, m, s: p - size * m / (jnp.sqrt(s) / correction + hyper["eps"]), params, mean, square
    )
    return moved, (mean, square, steps)


def play(players, batches, waves, coefficients, hypers):
    """Play a game; return the losses [S] of both players before each update."""

    def step(carry, given):
        (d, d_state), (g, g_state), average = carry
        fake, pull = jax.vjp(lambda p: mlp(p, given["latents"]), g)
        d_loss, grads = jax.value_and_grad(loss_of_discriminator)(d, waves, fake, given, coefficients)
        d, d_state = adam(d, grads, d_state, given["lr"][0], hypers[0])
        g_loss, slopes = jax.value_and_grad(loss_of_generator)(fake, d, waves, given)
        g, g_state = adam(g, pull(slopes)[0], g_state, given["lr"][1], hypers[1])
        average = jax.tree.map(lambda a, p: a + given["present"] * (p - a), average, g)
        return ((d, d_state), (g, g_state), average), (d_loss, g_loss)

    start = [(p, (jax.tree.map(jnp.zeros_like, p),) * 2 + (jnp.float32(0),)) for p in players]
    _, losses = jax.lax.scan(step, (start[0], start[1], players[1]), batches)
    return losses


def jax_game(ensemble: StackedGANs, steps: Sequence[int]) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a function that plays some steps of stacked games from their start; it returns losses [S, K].

    Everything that is drawn is drawn beforehand.
    """
    batches, drawn = ensemble.batches.gather(steps, [True] * ensemble.width)
    rates = torch.stack([opt.rates(steps) for opt in ensemble.stacked_optimizers], dim=1)
    rows, active = [], torch.ones(ensemble.width, dtype=torch.bool)
    for batch, more, step, lr in zip(batches, drawn, steps, rates, strict=True):
        waves = ensemble._waves_at(step, active)
        own = ensemble._batch(batch, more)
        given = {name: own[name] for name in ("points", "latents")} | ensemble._loss_coefficients_at(step)
        rows.append(given | {"amplitude": waves["fourier.amplitude"], "lr": lr.T})
    stacked = {name: _array(torch.stack([row[name] for row in rows], dim=1)) for name in rows[0]}
    # Lists, because JAX sorts dictionaries.
    players = [[_array(p) for p in opt.params.values()] for opt in ensemble.stacked_optimizers]
    kept = {name: _array(ensemble.kept[DISCRIMINATOR + name]) for name in ensemble.waves}
    coefficients = {name: _array(ensemble.loss_coefficients[name]) for name in ("r1", "r2")}
    hypers = [
        {k: _array(opt.hyper[k]) for k in ("beta1", "beta2", "eps")} for opt in ensemble.stacked_optimizers
    ]
    run = jax.jit(jax.vmap(play))

    def call() -> tuple[Tensor, Tensor]:
        found = jax.block_until_ready(run(players, stacked, kept, coefficients, hypers))
        d_losses, g_losses = (torch.from_numpy(jax.device_get(one).copy()).T for one in found)
        return d_losses, g_losses

    return call


def _array(tensor: Tensor):
    return jnp.asarray(tensor.float().numpy())
