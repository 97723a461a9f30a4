"""The gradient of a piecewise linear discriminator's loss with R1 and R2, in two thirds of autograd's matrix products.

The loss is L(s, g) of scores s_i and their gradients g_i by the points. Between two kinks the score is linear in the
output of every layer, so that its gradient δ_i by that output does not depend on how far the output moves. With
a_i = ∂L/∂s_i, u_i = ∂L/∂g_i, the input h_i of a layer and the change v_i of h_i along u_i,

    ∂L/∂W = Σ_i δ_i (a_i h_i + v_i)ᵀ,    ∂L/∂b = Σ_i a_i δ_i.

So one pass forward for h, one backward for δ, one forward for v and one product a layer are enough; differentiating
twice (what autograd does, and has to for curved activations) takes six.

What the discriminator sees of a point does not depend on what is trained, so that waves and their slopes are computed
once for both phases of a step. They stay apart from the points: a copy of both side by side costs more than a product.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vjp

from gaplab.networks import MLP
from gaplab.networks.blocks import PlainBlock
from gaplab.stacked.update_rules import Params
from gaplab.tasks.gan_losses import Discriminator

PIECEWISE_LINEAR = (nn.ReLU, nn.LeakyReLU, nn.Identity)
LossOfSlopes = Callable[[Tensor, Tensor], Tensor]
"""``loss(scores [Q], gradients [Q, pack * D])``, a scalar."""


def is_piecewise_linear(discriminator: Discriminator) -> bool:
    """Whether ``gradient_of_slopes`` can stand for autograd: plain layers, kinks, and nothing else that learns."""
    network = discriminator.network
    return (
        discriminator.embedding is None
        and type(network) is MLP
        and not network.dense_skip
        and all(
            type(layer) is PlainBlock and layer.norm is None and type(layer.activation) in PIECEWISE_LINEAR
            for layer in network.hidden
        )
    )


def seen_of(discriminator: Discriminator, waves: Params, packs: Tensor) -> Params:
    """Return what one discriminator sees of packs [Q, pack * D], which is the same for all its weights.

    Beside ``packs`` there are, with Fourier features, ``waves`` sin(W x + b) and their ``slopes`` cos(W x + b), both
    [Q, pack * M].
    """
    if discriminator.fourier is None:
        return {"packs": packs}
    directions = waves["fourier.waves"]
    phases = packs.reshape(-1, directions.shape[1]) @ directions.T + waves["fourier.phases"]
    found = {"waves": phases.sin(), "slopes": phases.cos()}
    return {"packs": packs} | {name: part.reshape(len(packs), -1) for name, part in found.items()}


class _Layers:
    """A discriminator's layers with one set of parameters; its waves' weights hold their amplitude."""

    def __init__(self, discriminator: Discriminator, params: Params, waves: Params) -> None:
        self.names = [name.removesuffix(".weight") for name in params if name.endswith(".weight")]
        self.weights = [params[f"{name}.weight"] for name in self.names]
        self.biases = [params[f"{name}.bias"] for name in self.names]
        self.hidden: Any = discriminator.network.hidden
        self.pack = discriminator.pack
        self.of_packs = first = self.weights[0]
        if discriminator.fourier is not None:
            self.directions = waves["fourier.waves"]
            self.amplitude = math.sqrt(2) * waves["fourier.amplitude"]
            parts = first.reshape(len(first), self.pack, -1)
            size = self.directions.shape[1]
            self.of_packs = parts[..., :size].reshape(len(first), -1)
            self.of_waves = parts[..., size:].reshape(len(first), -1) * self.amplitude

    def first(self, seen: Params) -> Tensor:
        """Return the product of the first weights with packs and waves."""
        found = seen["packs"] @ self.of_packs.T
        return found + seen["waves"] @ self.of_waves.T if "waves" in seen else found

    def change(self, seen: Params, by_packs: Tensor) -> Params:
        """Return how packs and waves change where packs change by ``by_packs``."""
        if "waves" not in seen:
            return {"packs": by_packs}
        phases = by_packs.reshape(-1, self.directions.shape[1]) @ self.directions.T
        return {"packs": by_packs, "waves": seen["slopes"] * phases.reshape(seen["slopes"].shape)}

    def forward(self, seen: Params) -> tuple[Tensor, list[Tensor], list[Callable[[Tensor], Any]]]:
        """Return scores [Q], the inputs of all layers but the first, and what multiplies by activations' slopes."""
        inputs: list[Tensor] = []
        kinks: list[Callable[[Tensor], Any]] = []
        product = self.first(seen)
        for block, weight, bias in zip(self.hidden, self.weights[1:], self.biases, strict=False):
            output, kink, *_ = vjp(block.activation, product + bias)
            inputs.append(output)
            kinks.append(kink)
            product = output @ weight.T
        return (product + self.biases[-1])[:, 0], inputs, kinks

    def backward(self, by_scores: Tensor, kinks: list[Callable[[Tensor], Any]]) -> list[Tensor]:
        """Return the gradients by the outputs of all layers, of something with a gradient [Q] by the scores."""
        deltas = [by_scores[:, None]]
        for weight, kink in zip(self.weights[:0:-1], kinks[::-1], strict=True):
            deltas.insert(0, kink(deltas[0] @ weight)[0])
        return deltas

    def by_packs(self, seen: Params, delta: Tensor) -> Tensor:
        """Return the gradient by packs of something with the gradient ``delta`` by the first layer's output."""
        found = delta @ self.of_packs
        if "waves" not in seen:
            return found
        by_phases = (seen["slopes"] * (delta @ self.of_waves)).reshape(-1, len(self.directions))
        return found + (by_phases @ self.directions).reshape(found.shape)

    def by_first(self, by_parts: Params) -> Tensor:
        """Return the gradient by the first weights from those by their products with packs and waves."""
        if "waves" not in by_parts:
            return by_parts["packs"]
        parts = by_parts["packs"], by_parts["waves"] * self.amplitude
        joined = torch.cat([part.reshape(len(part), self.pack, -1) for part in parts], dim=2)
        return joined.reshape(len(joined), -1)


def gradient_of_slopes(
    discriminator: Discriminator, params: Params, waves: Params, seen: Params, loss: LossOfSlopes
) -> tuple[Params, Tensor]:
    """Return the gradient of ``loss`` by the parameters of one discriminator, and its value.

    Args:
        discriminator: Says what the parameters mean; see ``is_piecewise_linear``.
        params: By name, in the order of the layers.
        waves: Buffers of the Fourier features, by name.
        seen: See ``seen_of``; of the packs where the scores and their gradients are taken.
        loss: Of both.
    """
    layers = _Layers(discriminator, params, waves)
    scores, inputs, kinks = layers.forward(seen)
    deltas = layers.backward(torch.ones_like(scores), kinks)
    slopes = layers.by_packs(seen, deltas[0])
    (by_score, by_slope), value = grad_and_value(loss, argnums=(0, 1))(scores, slopes)
    column, moved = by_score[:, None], layers.change(seen, by_slope)
    by_parts = {name: deltas[0].T @ (column * seen[name] + part) for name, part in moved.items()}
    products, change = [layers.by_first(by_parts)], layers.first(moved)
    for kink, weight, given, delta in zip(kinks, layers.weights[1:], inputs, deltas[1:], strict=True):
        (change,) = kink(change)
        products.append(delta.T @ (column * given + change))
        change = change @ weight.T
    found = {f"{name}.weight": product for name, product in zip(layers.names, products, strict=True)}
    found |= {f"{name}.bias": by_score @ delta for name, delta in zip(layers.names, deltas, strict=True)}
    return {name: found[name] for name in params}, value


def gradient_by_fake(
    discriminator: Discriminator,
    params: Params,
    waves: Params,
    seen: Params,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return the gradient of ``loss`` by generated packs, and its value.

    Args:
        discriminator: As for ``gradient_of_slopes``.
        params: Likewise.
        waves: Likewise.
        seen: Of real and then as many generated packs.
        loss: Of real and generated scores [Q].
    """
    layers, count = _Layers(discriminator, params, waves), len(seen["packs"]) // 2
    real, fake = (
        {name: part[rows] for name, part in seen.items()} for rows in (slice(count), slice(count, None))
    )
    scores, _, kinks = layers.forward(fake)
    by_score, value = grad_and_value(loss, argnums=1)(layers.forward(real)[0], scores)
    deltas = layers.backward(by_score, kinks)
    return layers.by_packs(fake, deltas[0]), value
