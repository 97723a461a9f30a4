"""The gradient of a piecewise linear discriminator's loss with R1 and R2, in two thirds of autograd's matrix products.

The loss is L(s, g) of scores s_i and their gradients g_i by the points. Between two kinks the score is linear in the
output of every layer, so that its gradient δ_i by that output does not depend on how far the output moves. With
a_i = ∂L/∂s_i, u_i = ∂L/∂g_i, the input h_i of a layer and the change v_i of h_i along u_i,

    ∂L/∂W = Σ_i δ_i (a_i h_i + v_i)ᵀ,    ∂L/∂b = Σ_i a_i δ_i.

So one pass forward for h, one backward for δ, one forward for v and one product a layer are enough; differentiating
twice (what autograd does, and has to for curved activations) takes six. A generator that answers the same scores needs
no pass of its own: the gradient of its loss by a generated point is a number times g_i.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vjp

from gaplab.networks import MLP
from gaplab.networks.blocks import PlainBlock
from gaplab.networks.conditioning import pack_samples
from gaplab.stacked.update_rules import Params
from gaplab.tasks.gan_losses import Discriminator

PIECEWISE_LINEAR = (nn.ReLU, nn.LeakyReLU, nn.Identity)
LossOfSlopes = Callable[[Tensor, Tensor], Tensor]
"""``loss(scores [P], gradients [P, D])``, a scalar."""
LossOfScores = Callable[[Tensor], Tensor]
"""``loss(scores [P])``, a scalar."""


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


class Gradients(NamedTuple):
    """Of one discriminator's loss by its parameters; and of the generator's, where that is asked for."""

    params: Params
    loss: Tensor
    fake: Any = None
    """Gradient of the generator's loss by the generated packs, [Q, pack * D]."""
    answer: Any = None
    """The generator's loss."""


class _Passes(NamedTuple):
    """One pass forward and one backward through all layers, from what the network sees of packs."""

    names: list[str]
    weights: list[Tensor]
    inputs: list[Tensor]
    kinks: list[Any]
    """Multiply by the slopes of the activations."""
    scores: Tensor
    deltas: list[Tensor]
    """Gradients of the scores by the output of each layer before its activation."""


def gradient_of_slopes(
    discriminator: Discriminator,
    params: Params,
    waves: Params,
    packs: Tensor,
    loss: LossOfSlopes,
    answer: LossOfScores | None = None,
) -> Gradients:
    """Return the gradient of ``loss`` by the parameters of one discriminator, and its value.

    Args:
        discriminator: Says what the parameters mean; see ``is_piecewise_linear``.
        params: By name, in the order of the layers.
        waves: Buffers of the Fourier features, by name.
        packs: Where the scores and their gradients are taken, [2 Q, pack * D], the generated ones last.
        loss: Of both.
        answer: The generator's loss of the scores, if it answers them.
    """
    seen, back_to_packs, *_ = vjp(lambda packs: _seen(discriminator, waves, packs), packs)
    names, weights, inputs, kinks, scores, deltas = _passes(discriminator, params, seen)
    slopes, along, *_ = vjp(lambda delta: back_to_packs(delta)[0], deltas[0] @ weights[0])
    (by_score, by_slope), value = grad_and_value(loss, argnums=(0, 1))(scores, slopes)
    (change,) = along(by_slope)
    found: Params = {}
    for number, (name, weight, delta, given) in enumerate(zip(names, weights, deltas, inputs, strict=True)):
        found[f"{name}.weight"] = delta.T @ (by_score[:, None] * given + change)
        found[f"{name}.bias"] = by_score @ delta
        if number < len(kinks):
            (change,) = kinks[number](change @ weight.T)
    result = Gradients({name: found[name] for name in params}, value)
    if answer is None:
        return result
    by_score, value = grad_and_value(answer)(scores)
    count = len(scores) // 2
    return result._replace(fake=by_score[count:, None] * slopes[count:], answer=value)


def gradient_of_scores(
    discriminator: Discriminator,
    params: Params,
    waves: Params,
    packs: Tensor,
    loss: LossOfScores,
    answer: LossOfScores,
) -> Gradients:
    """Return the same for a ``loss`` without slopes, which are taken of the generated packs only."""
    real, fake = packs.chunk(2)
    seen, back_to_packs, *_ = vjp(lambda packs: _seen(discriminator, waves, packs), fake)
    seen = torch.cat([_seen(discriminator, waves, real), seen])
    names, weights, inputs, _, scores, deltas = _passes(discriminator, params, seen)
    by_score, value = grad_and_value(loss)(scores)
    found: Params = {}
    for name, delta, given in zip(names, deltas, inputs, strict=True):
        found[f"{name}.weight"] = (by_score[:, None] * delta).T @ given
        found[f"{name}.bias"] = by_score @ delta
    by_answer, of_answer = grad_and_value(answer)(scores)
    (slopes,) = back_to_packs(deltas[0][len(real) :] @ weights[0])
    answered = by_answer[len(real) :, None] * slopes
    return Gradients({name: found[name] for name in params}, value, answered, of_answer)


def _passes(discriminator: Discriminator, params: Params, seen: Tensor) -> _Passes:
    names = [name.removesuffix(".weight") for name in params if name.endswith(".weight")]
    weights = [params[f"{name}.weight"] for name in names]
    biases = [params[f"{name}.bias"] for name in names]
    hidden: Any = discriminator.network.hidden
    inputs, kinks = [seen], []
    for block, weight, bias in zip(hidden, weights, biases, strict=False):
        output, kink, *_ = vjp(block.activation, inputs[-1] @ weight.T + bias)
        inputs.append(output)
        kinks.append(kink)
    scores = (inputs[-1] @ weights[-1].T + biases[-1])[:, 0]
    deltas = [torch.ones_like(scores)[:, None]]
    for weight, kink in zip(weights[:0:-1], kinks[::-1], strict=True):
        deltas.insert(0, kink(deltas[0] @ weight)[0])
    return _Passes(names, weights, inputs, kinks, scores, deltas)


def _seen(discriminator: Discriminator, waves: Params, packs: Tensor) -> Tensor:
    """Return what the network sees of packs: them, or their points beside their waves."""
    if discriminator.fourier is None:
        return packs
    own = {name.removeprefix("fourier."): buffer for name, buffer in waves.items()}
    points = packs.reshape(len(packs) * discriminator.pack, -1)
    return pack_samples(functional_call(discriminator.fourier, own, (points,)), discriminator.pack)
