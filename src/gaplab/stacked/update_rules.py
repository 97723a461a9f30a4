"""Update rules for K models at once, each with hyperparameters of its own.

Every rule is a pure function ``(params, grads, state, hyper) -> (params, state)`` on dictionaries of tensors
whose first dimension counts the models: what ``torch.func.stack_module_state`` returns and
``vmap(grad(loss))`` consumes. Nothing is changed in place, so that a whole training step, update included, can
be traced and compiled as one graph. The arithmetic and its order are those of ``torch.optim`` (single-tensor
form), with scalars replaced by tensors of shape [K].

A model that has stopped (``active`` false) keeps its parameters, its moments and its step count bit for bit.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

Params = dict[str, Tensor]
Hyper = Mapping[str, Tensor]
DEFAULTS: dict[str, dict[str, float]] = {
    "sgd": {"weight_decay": 0.0, "momentum": 0.0},
    "nesterov": {"weight_decay": 0.0, "momentum": 0.0},
    "adam": {"weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "adamw": {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}


class OptimizerState(NamedTuple):
    """Moments per parameter (``buffers[name][parameter]``, shape [K, ...]) and updates made per model.

    ``steps`` is float64 [K], because the bias corrections ``1 - beta**steps`` are taken in double precision.
    """

    steps: Tensor
    buffers: dict[str, Params]


Update = Callable[[Params, Params, OptimizerState, Hyper], tuple[Params, OptimizerState]]


def stack_hyperparameters(
    rule: str, num_models: int, settings: Mapping[str, object], device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """One float64 tensor [K] per hyperparameter of ``rule``, from numbers, sequences or tensors of length K.

    ``lr`` is required; what is left out has ``torch.optim``'s default. Raises ValueError for an unknown rule or
    name, a missing ``lr``, a length other than ``num_models`` and a value out of range.

    ``bias_decay`` is the weight decay of parameters with at most one dimension; left out, it is that of the
    others.
    """
    if rule not in DEFAULTS:
        raise ValueError(f"optimizer must be one of {', '.join(DEFAULTS)}; got {rule!r}.")
    if "lr" not in settings:
        raise ValueError(f"lr is missing from the settings of {rule}; give a number or one value a model.")
    if unknown := set(settings) - set(DEFAULTS[rule]) - {"lr", "bias_decay"}:
        known = ", ".join(["lr", *DEFAULTS[rule]])
        raise ValueError(f"{rule} has no setting {', '.join(sorted(unknown))}; it has {known}.")
    stacked = {}
    for name, value in {**DEFAULTS[rule], **settings}.items():
        values = torch.as_tensor(value, dtype=torch.float64, device=device)
        if values.shape not in {(), (num_models,)}:
            raise ValueError(
                f"{name} needs one value or {num_models} (one a model); got {list(values.shape)}."
            )
        if not ((values >= 0) & torch.isfinite(values)).all():
            raise ValueError(f"{name} must be finite and at least 0; got {values.tolist()}.")
        if name in {"beta1", "beta2"} and (values >= 1).any():
            raise ValueError(f"{name} must lie in [0, 1); got {values.tolist()}.")
        stacked[name] = values.expand(num_models).clone()
    stacked.setdefault("bias_decay", stacked["weight_decay"])
    return stacked


def initial_state(rule: str, params: Params) -> OptimizerState:
    """The state before the first update: zero moments, zero steps."""
    names = ("mean", "square") if rule in ("adam", "adamw") else ("momentum",)
    some = next(iter(params.values()))
    return OptimizerState(
        steps=torch.zeros(some.shape[0], dtype=torch.float64, device=some.device),
        buffers={name: {key: torch.zeros_like(p) for key, p in params.items()} for name in names},
    )


def per_model(values: Tensor, like: Tensor) -> Tensor:
    """A tensor [K] in the dtype of ``like`` [K, ...], shaped to multiply it model by model."""
    return values.to(like.dtype).view(-1, *[1] * (like.dim() - 1))


def _decay(hyper: Hyper, p: Tensor) -> Tensor:
    return hyper["weight_decay"] if p.dim() > 2 else hyper["bias_decay"]


def sgd(params: Params, grads: Params, state: OptimizerState, hyper: Hyper) -> tuple[Params, OptimizerState]:
    """SGD with momentum and L2 penalty as in ``torch.optim.SGD`` without dampening.

    A zero-initialised momentum buffer equals torch's first step, because dampening is zero.
    """
    return _momentum_step(params, grads, state, hyper, nesterov=False)


def nesterov(
    params: Params, grads: Params, state: OptimizerState, hyper: Hyper
) -> tuple[Params, OptimizerState]:
    """SGD with Nesterov's momentum, as in ``torch.optim.SGD(nesterov=True)``."""
    return _momentum_step(params, grads, state, hyper, nesterov=True)


def _momentum_step(
    params: Params, grads: Params, state: OptimizerState, hyper: Hyper, *, nesterov: bool
) -> tuple[Params, OptimizerState]:
    momenta, new = {}, {}
    for key, p in params.items():
        gradient = torch.addcmul(grads[key], p, per_model(_decay(hyper, p), p))
        momentum = per_model(hyper["momentum"], p)
        momenta[key] = gradient + state.buffers["momentum"][key] * momentum
        direction = torch.addcmul(gradient, momenta[key], momentum) if nesterov else momenta[key]
        new[key] = torch.addcmul(p, direction, per_model(-hyper["lr"], p))
    return new, OptimizerState(state.steps + 1, {"momentum": momenta})


def adam(params: Params, grads: Params, state: OptimizerState, hyper: Hyper) -> tuple[Params, OptimizerState]:
    """Adam (Kingma and Ba, 2015, algorithm 1) with L2 penalty, as in ``torch.optim.Adam``."""
    decayed = {key: torch.addcmul(grads[key], p, per_model(_decay(hyper, p), p)) for key, p in params.items()}
    return _adaptive_step(params, decayed, state, hyper)


def adamw(
    params: Params, grads: Params, state: OptimizerState, hyper: Hyper
) -> tuple[Params, OptimizerState]:
    """Adam with decoupled decay (Loshchilov and Hutter, 2019, algorithm 2), as in ``torch.optim.AdamW``."""
    shrunk = {key: p * per_model(1 - hyper["lr"] * _decay(hyper, p), p) for key, p in params.items()}
    return _adaptive_step(shrunk, grads, state, hyper)


def _adaptive_step(
    params: Params, grads: Params, state: OptimizerState, hyper: Hyper
) -> tuple[Params, OptimizerState]:
    steps = state.steps + 1
    # As exponentials, which the compiler computes once a model; powers it would compute again for every few weights.
    step_size = hyper["lr"] / (1 - (hyper["beta1"].log() * steps).exp())
    correction = (1 - (hyper["beta2"].log() * steps).exp()).sqrt()
    means, squares, new = {}, {}, {}
    for key, p in params.items():
        g = grads[key]
        means[key] = torch.lerp(state.buffers["mean"][key], g, per_model(1 - hyper["beta1"], p))
        # addcmul and addcdiv with the scalar in the first factor round as torch.optim's ``value=`` does.
        kept = state.buffers["square"][key] * per_model(hyper["beta2"], p)
        squares[key] = torch.addcmul(kept, per_model(1 - hyper["beta2"], p) * g, g)
        denominator = squares[key].sqrt() / per_model(correction, p) + per_model(hyper["eps"], p)
        new[key] = torch.addcdiv(p, per_model(-step_size, p) * means[key], denominator)
    return new, OptimizerState(steps, {"mean": means, "square": squares})


RULES: dict[str, Update] = {"sgd": sgd, "nesterov": nesterov, "adam": adam, "adamw": adamw}


def select(where: Tensor, these: Params, those: Params) -> Params:
    """Return the tensors of ``these`` for models where ``where`` (bool [K]) is true, of ``those`` elsewhere."""
    return {key: torch.where(where.view(-1, *[1] * (p.dim() - 1)), p, those[key]) for key, p in these.items()}


def update_active(
    rule: Update, params: Params, grads: Params, state: OptimizerState, hyper: Hyper, active: Tensor | None
) -> tuple[Params, OptimizerState]:
    """Apply ``rule`` where ``active`` (bool [K]; None: everywhere) and leave the other models as they are.

    A selection rather than a product with the mask, so that a diverged model's NaN cannot reach what is kept.
    """
    if active is None:
        return rule(params, grads, state, hyper)
    new, after = rule(params, grads, state, hyper)
    buffers = {name: select(active, buffer, state.buffers[name]) for name, buffer in after.buffers.items()}
    steps = torch.where(active, after.steps, state.steps)
    return select(active, new, params), OptimizerState(steps, buffers)
