"""One optimiser step, with gradients that are the same however many processes share the batch."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gaplab.config.optimizer import AdamWConfig, OptimizerConfig, Schedule
from gaplab.config.registry import build_choice


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Return the torch optimiser of a section ``optimizer`` for some parameters."""
    optimizer: Optimizer = build_choice(config, list(parameters))
    return optimizer


def l2_penalty(config: OptimizerConfig, network: nn.Module) -> float:
    """Return 0.5 * weight_decay * sum(w^2) over the decayed parameters; AdamW's decay is no penalty: 0."""
    if config.weight_decay == 0 or isinstance(config, AdamWConfig):
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


def build_schedule(config: OptimizerConfig, optimizer: Optimizer, num_steps: int) -> LambdaLR | None:
    """Return the learning-rate schedule, or None where the rate never changes."""
    if config.schedule is Schedule.constant and config.warmup_steps == 0:
        return None
    return LambdaLR(optimizer, lambda step: schedule_factor(config, step, num_steps))


def reapply_hparams(config: OptimizerConfig, optimizer: Optimizer, schedule: LambdaLR | None) -> None:
    """Put the configured learning rate and hyperparameters into a restored optimiser.

    A checkpoint restores them with the state, so that a changed configuration would silently do nothing.
    """
    fresh = build_optimizer(config, [p for group in optimizer.param_groups for p in group["params"]])
    for group, wanted in zip(optimizer.param_groups, fresh.param_groups, strict=True):
        group |= {key: value for key, value in wanted.items() if key != "params"}
        group["initial_lr"] = config.lr
    if schedule is not None:
        schedule.base_lrs = [config.lr for _ in optimizer.param_groups]
        for group, factor in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
            group["lr"] = config.lr * factor(schedule.last_epoch)


def make_closure(
    loss: Callable[[], Tensor],
    optimizer: Optimizer,
    parameters: list[nn.Parameter],
    *,
    max_grad_norm: float | None,
    world_size: int,
) -> Callable[[], Any]:
    """Return the closure of one step: gradients of ``loss`` summed over processes and clipped.

    ``loss`` returns this process's share of the mean over the whole batch (its sum of losses divided by the
    size of the whole batch), so that the sum over processes is exact for shares of unequal size. The mean
    of means that DistributedDataParallel computes is not, and it expects every parameter to receive a
    gradient in every backward pass, which the two phases of a GAN do not give.
    """

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        if world_size > 1:
            value = sum_over_processes(value.detach(), parameters)
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        return value.detach()

    return closure


def count_steps(trainer: Trainer, num_steps: int) -> None:
    """Add to ``trainer.global_step``, which is the x axis of everything that is logged.

    Lightning counts by wrapping every optimiser's ``step``. That costs a tenth of a small network's step
    and would count each phase of a GAN.
    """
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    for tracker in (progress.total, progress.current):
        tracker.ready += num_steps
        tracker.completed += num_steps


def sum_over_processes(value: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """Sum a scalar and the gradients of ``parameters`` over all processes in one collective call."""
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([value.reshape(1), *(gradient.reshape(-1) for gradient in gradients)])
    torch.distributed.all_reduce(flat)
    start = 1
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.grad = flat[start:end].view_as(parameter)
        start = end
    return flat[0]
