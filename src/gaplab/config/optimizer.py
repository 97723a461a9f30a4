"""Settings of the optimisers, the learning-rate schedule and gradient clipping."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive, check_share
from gaplab.config.knots import check_knots
from gaplab.config.registry import choice, without_builder


class Schedule(StrEnum):
    constant = "constant"
    cosine = "cosine"
    """Half a cosine from lr to lr * min_lr_ratio over all steps."""
    linear = "linear"
    """A straight line from lr to lr * min_lr_ratio over all steps."""
    exponential = "exponential"
    """lr times ``lr_gamma`` to the power of the step."""
    knots = "knots"
    """lr times what ``lr_knots`` say."""


@dataclass(kw_only=True, slots=True)
class OptimizerConfig:
    """What every optimiser has in common."""

    stacked_settings: ClassVar[tuple[str, ...]] = ()
    """Settings of the stacked update rule beside the learning rate and weight decay."""

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
    lr_knots: list[Any] = field(default_factory=list)
    """Pairs [share of the steps, factor] of ``schedule=knots``, straight in the logarithm between them."""
    max_grad_norm: float | None = None
    """Largest norm of the whole gradient; null for no clipping."""
    sharpness_radius: float = 0.0
    """Radius rho of sharpness-aware minimisation (Foret et al. 2021): the gradient is taken at w + rho g / norm(g),
    which costs two gradients a step; 0 for the ordinary gradient."""

    def __post_init__(self) -> None:
        check_positive("optimizer.lr", self.lr)
        check_not_negative("optimizer.weight_decay", self.weight_decay)
        check_not_negative("optimizer.warmup_steps", self.warmup_steps)
        check(0 < self.lr_gamma <= 1, "optimizer.lr_gamma", "a factor in (0, 1]", self.lr_gamma)
        check_share("optimizer.min_lr_ratio", self.min_lr_ratio)
        check_knots("optimizer.lr_knots", self.lr_knots)
        uses_knots = self.schedule is Schedule.knots
        check(
            bool(self.lr_knots) == uses_knots,
            "optimizer.lr_knots",
            "knots, and only beside optimizer.schedule=knots"
            if uses_knots
            else "[] unless optimizer.schedule=knots",
            self.lr_knots,
        )
        check_not_negative("optimizer.sharpness_radius", self.sharpness_radius)
        if self.max_grad_norm is not None:
            check_positive("optimizer.max_grad_norm", self.max_grad_norm, "Use null for no clipping.")

    @property
    def update_rule(self) -> str | None:
        """Name of the stacked update rule (``gaplab.stacked.update_rules``) that does the same; None without one."""
        return None

    @property
    def decay_is_penalty(self) -> bool:
        """Whether weight decay is the gradient of a penalty, and not decoupled from the gradient."""
        return True

    def groups(self, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        """Return torch's parameter groups: those that weight decay shrinks, and the biases if it spares them."""
        decayed = [p for p in parameters if self.weight_decay_on_bias or p.ndim > 1]
        spared = [p for p in parameters if not self.weight_decay_on_bias and p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}]
        return [*groups, {"params": spared, "weight_decay": 0.0}] if spared else groups

    def build(self, parameters: list[Any]) -> Any:
        """Return a ``torch.optim.Optimizer`` of a network's parameters.

        Raises:
            ConfigError: If a class has no method of its own and no builder is registered for it.
        """
        raise without_builder(self)


@choice("optimizer", "sgd")
@dataclass(kw_only=True, slots=True)
class SGDConfig(OptimizerConfig):
    stacked_settings: ClassVar[tuple[str, ...]] = ("momentum",)

    lr: float = 1e-1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)
        check(0 <= self.momentum < 1, "optimizer.momentum", "a number in [0, 1)", self.momentum)
        if self.nesterov:
            check_positive("optimizer.momentum", self.momentum, "Nesterov's method needs momentum.")

    @property
    def update_rule(self) -> str | None:
        return "nesterov" if self.nesterov else "sgd"

    def build(self, parameters: list[Any]) -> Any:
        from torch.optim import SGD

        groups = self.groups(parameters)
        return SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)


@choice("optimizer", "adam")
@dataclass(kw_only=True, slots=True)
class AdamConfig(OptimizerConfig):
    """Adam; weight decay is the classical L2 term in the gradient."""

    stacked_settings: ClassVar[tuple[str, ...]] = ("beta1", "beta2", "eps")

    lr: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)
        check(0 <= self.beta1 < 1, "optimizer.beta1", "a number in [0, 1)", self.beta1)
        check(0 <= self.beta2 < 1, "optimizer.beta2", "a number in [0, 1)", self.beta2)
        check_positive("optimizer.eps", self.eps)

    @property
    def update_rule(self) -> str | None:
        return "adam"

    def build(self, parameters: list[Any]) -> Any:
        from torch.optim import Adam

        groups = self.groups(parameters)
        return Adam(groups, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps)


@choice("optimizer", "adamw")
@dataclass(kw_only=True, slots=True)
class AdamWConfig(AdamConfig):
    """AdamW; weight decay is decoupled from the gradient."""

    weight_decay: float = 1e-2

    @property
    def update_rule(self) -> str | None:
        return "adamw"

    @property
    def decay_is_penalty(self) -> bool:
        return False

    def build(self, parameters: list[Any]) -> Any:
        from torch.optim import AdamW

        groups = self.groups(parameters)
        return AdamW(groups, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps)


@choice("optimizer", "lbfgs")
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
        for key in ("weight_decay", "sharpness_radius"):
            check(getattr(self, key) == 0.0, f"optimizer.{key}", "0 with optimizer=lbfgs", getattr(self, key))

    def build(self, parameters: list[Any]) -> Any:
        from torch.optim import LBFGS

        return LBFGS(
            parameters,
            lr=self.lr,
            max_iter=self.max_iter,
            history_size=self.history_size,
            line_search_fn="strong_wolfe",
        )
