"""Settings of the optimisers, the learning-rate schedule and gradient clipping."""

from dataclasses import dataclass
from enum import StrEnum

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive, check_share


class Schedule(StrEnum):
    constant = "constant"
    cosine = "cosine"
    """Half a cosine from lr to lr * min_lr_ratio over all steps."""
    linear = "linear"
    """A straight line from lr to lr * min_lr_ratio over all steps."""
    exponential = "exponential"
    """lr times ``lr_gamma`` to the power of the step."""


@dataclass(kw_only=True, slots=True)
class OptimizerConfig:
    """What every optimiser has in common."""

    lr: float = 1e-3
    """Learning rate."""
    weight_decay: float = 0.0
    weight_decay_on_bias: bool = True
    """Whether weight decay also shrinks the biases."""
    schedule: Schedule = Schedule.constant
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0, before the schedule takes over."""
    lr_gamma: float = 1.0
    """Factor a step of the exponential schedule."""
    min_lr_ratio: float = 0.0
    """What the cosine and linear schedules end at, as a share of lr."""
    max_grad_norm: float | None = None
    """Largest norm of the whole gradient; null for no clipping."""

    def __post_init__(self) -> None:
        check_positive("optimizer.lr", self.lr)
        check_not_negative("optimizer.weight_decay", self.weight_decay)
        check_not_negative("optimizer.warmup_steps", self.warmup_steps)
        check(0 < self.lr_gamma <= 1, "optimizer.lr_gamma", "a factor in (0, 1]", self.lr_gamma)
        check_share("optimizer.min_lr_ratio", self.min_lr_ratio)
        if self.max_grad_norm is not None:
            check_positive("optimizer.max_grad_norm", self.max_grad_norm, "Use null for no clipping.")


@dataclass(kw_only=True, slots=True)
class SGDConfig(OptimizerConfig):
    lr: float = 1e-1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)
        check(0 <= self.momentum < 1, "optimizer.momentum", "a number in [0, 1)", self.momentum)
        if self.nesterov:
            check_positive("optimizer.momentum", self.momentum, "Nesterov's method needs momentum.")


@dataclass(kw_only=True, slots=True)
class AdamConfig(OptimizerConfig):
    """Adam; weight decay is the classical L2 term in the gradient."""

    lr: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)
        check(0 <= self.beta1 < 1, "optimizer.beta1", "a number in [0, 1)", self.beta1)
        check(0 <= self.beta2 < 1, "optimizer.beta2", "a number in [0, 1)", self.beta2)
        check_positive("optimizer.eps", self.eps)


@dataclass(kw_only=True, slots=True)
class AdamWConfig(AdamConfig):
    """AdamW; weight decay is decoupled from the gradient."""

    weight_decay: float = 1e-2


@dataclass(kw_only=True, slots=True)
class LBFGSConfig(OptimizerConfig):
    """L-BFGS with a strong-Wolfe line search; meant for ``data.batch_size=null``."""

    lr: float = 1.0
    max_iter: int = 20
    """Inner iterations an optimiser step."""
    history_size: int = 10

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)
        check_at_least("optimizer.max_iter", self.max_iter, 1)
        check_at_least("optimizer.history_size", self.history_size, 1)
        check(
            self.max_grad_norm is None,
            "optimizer.max_grad_norm",
            "null with optimizer=lbfgs",
            self.max_grad_norm,
        )
        check(self.weight_decay == 0.0, "optimizer.weight_decay", "0 with optimizer=lbfgs", self.weight_decay)
