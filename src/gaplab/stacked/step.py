"""One training step of K models, for any loss: gradients, clipping, update of those still training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from gaplab.stacked.update_rules import (
    Hyper,
    OptimizerState,
    Params,
    Update,
    per_model,
    select,
    update_active,
)
from gaplab.tasks.sharpness_aware import TINY

Loss = Callable[[Params, Params, Params, Any, Params], tuple[Tensor, Params]]
"""``loss(params, running, buffers, batch, loss_coefficients)`` of one model: a scalar, and what has become of
``running``, such as the statistics of BatchNorm. The ensemble maps it over all five."""
Step = Callable[..., tuple[Params, OptimizerState, Params, Tensor]]


class Carried(NamedTuple):
    """What a step takes and leaves."""

    params: Params
    state: OptimizerState
    running: Params


def make_step(loss: Loss, rule: Update, *, clips: bool, sharpens: bool = False) -> Step:
    """Return ``step(params, state, running, active, buffers, batch, loss_coefficients, hyper)`` for K stacked models.

    ``active`` None means that all models train.

    It returns the new parameters, optimiser state and running state, and the losses [K] before the update. With
    ``clips`` the whole gradient of a model is limited to the norm ``hyper["max_grad_norm"]``. With ``sharpens`` the
    gradient is that at ``hyper["sharpness_radius"]`` uphill, as ``tasks/sharpness_aware.py`` takes it.
    """
    gradients = vmap(grad_and_value(loss, has_aux=True))

    def step(
        params: Params,
        state: OptimizerState,
        running: Params,
        active: Tensor | None,
        buffers: Params,
        batch: Any,
        loss_coefficients: Params,
        hyper: Hyper,
    ) -> tuple[Params, OptimizerState, Params, Tensor]:
        where, after = params, running
        for climbs in (True, False) if sharpens else (False,):
            grads, (losses, after) = gradients(where, after, buffers, batch, loss_coefficients)
            if clips:
                grads = clip_gradients(grads, hyper["max_grad_norm"])
            where = climbed(params, grads, hyper["sharpness_radius"]) if climbs else params
        params, state = update_active(rule, params, grads, state, hyper, active)
        if active is not None:
            after = select(active, after, running)
        return params, state, after, losses

    return step


def scanned(step: Step) -> Callable[[Carried, Any, Any], tuple[Carried, Tensor]]:
    """Return a step for ``CompiledFunction.scan``.

    It takes, besides what is carried: tensors, buffers and learning rates of a batch; and of all batches which models
    are active, the coefficients of the loss, and the other settings.
    """

    def take(carried: Carried, batch: Any, fixed: Any) -> tuple[Carried, Tensor]:
        (tensors, drawn, lr), (active, coefficients, hyper) = batch, fixed
        params, state, running, losses = step(
            *carried, active, drawn, tensors, coefficients, {**hyper, "lr": lr}
        )
        return Carried(params, state, running), losses

    return take


def clip_gradients(grads: Params, max_norm: Tensor) -> Params:
    """Limit each model's gradient to its norm [K], with the arithmetic of ``clip_grad_norm_``."""
    total = gradient_norms(grads)
    factor = (max_norm.to(total.dtype) / (total + 1e-6)).clamp(max=1.0)
    return {key: g * per_model(factor, g) for key, g in grads.items()}


def climbed(params: Params, grads: Params, radius: Tensor) -> Params:
    """Return w + rho g / |g| of each model, with its own radius [K]."""
    total = gradient_norms(grads)
    factor = radius.to(total.dtype) / (total + TINY)
    return {key: p + grads[key] * per_model(factor, p) for key, p in params.items()}


def gradient_norms(grads: Params) -> Tensor:
    """Return the norm of each model's whole gradient, [K]."""
    norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in grads.values()])
    return torch.linalg.vector_norm(norms, dim=0)
