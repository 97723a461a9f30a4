"""Optimisers, learning-rate schedules and the weight penalty of a section ``optimizer``."""

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from gaplab.config.knots import value_at
from gaplab.config.optimizer import OptimizerConfig, Schedule
from gaplab.config.registry import build_choice
from gaplab.tasks.sharpness_aware import make_sharpness_aware


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Return the torch optimiser of a section ``optimizer`` for some parameters."""
    optimizer: Optimizer = build_choice(config, list(parameters))
    keep_types(optimizer)
    if config.sharpness_radius:
        make_sharpness_aware(optimizer, config.sharpness_radius)
    return optimizer


def keep_types(optimizer: Optimizer) -> None:
    """Let an optimiser that is restored have its state in the types that were saved.

    By itself torch gives all of it the type of the parameter, so that in double precision the float32 product of
    momenta of NAdam would go on with other roundings.
    """
    saved: dict[str, Any] = {}

    def remember(optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        saved.update(state_dict)

    def give_back(optimizer: Optimizer) -> None:
        places = [place for group in saved["param_groups"] for place in group["params"]]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for place, parameter in zip(places, parameters, strict=True):
            for name, value in saved["state"].get(place, {}).items():
                if isinstance(value, Tensor) and value.dtype != optimizer.state[parameter][name].dtype:
                    optimizer.state[parameter][name] = value.to(optimizer.state[parameter][name].device)
        saved.clear()

    optimizer.register_load_state_dict_pre_hook(remember)
    optimizer.register_load_state_dict_post_hook(give_back)


def l2_penalty(config: OptimizerConfig, network: nn.Module) -> float:
    """Return 0.5 * weight_decay * sum(w^2) over the decayed parameters; a decoupled decay is no penalty: 0."""
    if config.weight_decay == 0 or not config.decay_is_penalty:
        return 0.0
    decayed = [p for p in network.parameters() if config.weight_decay_on_bias or p.ndim > 1]
    return 0.5 * config.weight_decay * float(sum(p.detach().double().square().sum() for p in decayed))


def schedule_factor(config: OptimizerConfig, step: int, num_steps: int) -> float:
    """Return what the learning rate is multiplied by at a step counted from 0."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = min((step - config.warmup_steps) / max(1, num_steps - config.warmup_steps), 1.0)
    end = config.min_lr_ratio
    match config.schedule:
        case Schedule.constant:
            return 1.0
        case Schedule.cosine:
            return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * progress))
        case Schedule.linear:
            return 1.0 - (1.0 - end) * progress
        case Schedule.exponential:
            return config.lr_gamma ** (step - config.warmup_steps)
        case Schedule.knots:
            return value_at(config.lr_knots, progress)


def build_schedule(config: OptimizerConfig, optimizer: Optimizer, num_steps: int) -> LambdaLR | None:
    """Return the learning-rate schedule, or None where the rate never changes."""
    if config.schedule is Schedule.constant and config.warmup_steps == 0:
        return None
    return LambdaLR(optimizer, lambda step: schedule_factor(config, step, num_steps))


def reapply_hparams(config: OptimizerConfig, optimizer: Optimizer, schedule: LRScheduler | None) -> None:
    """Put the configured learning rate and hyperparameters into a restored optimiser.

    A checkpoint restores them with the state, so that a changed configuration would silently do nothing. Where a
    schedule of torch moves them (``schedule=torch``), the callback ``TorchSchedule`` does so instead.
    """
    if schedule is not None and not isinstance(schedule, LambdaLR):
        return
    fresh = build_optimizer(config, [p for group in optimizer.param_groups for p in group["params"]])
    for group, wanted in zip(optimizer.param_groups, fresh.param_groups, strict=True):
        group |= {key: value for key, value in wanted.items() if key != "params"}
        group["initial_lr"] = config.lr
    if schedule is not None:
        schedule.base_lrs = [config.lr for _ in optimizer.param_groups]
        for group, factor in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
            group["lr"] = config.lr * factor(schedule.last_epoch)
