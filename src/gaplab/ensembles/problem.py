"""What an ensemble needs to know about the runs that it trains: their pure functions and their numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gaplab.config.optimizer import AdamConfig, AdamWConfig, OptimizerConfig, SGDConfig
from gaplab.ensembles.optimizers import Params
from gaplab.ensembles.step import Loss

Score = Callable[[Params, Tensor, Tensor], tuple[Tensor, Tensor]]
"""`score(params, points, labels)` of one model: losses [P] and hits [P], in eval mode."""
DrawBuffers = Callable[[int, int, int], Params]
"""`draw(model, step, num_points)`: what one model draws for one step, for example dropout masks."""


@dataclass(slots=True)
class Problem:
    """K runs of one kind as pure functions. Each dictionary in `params` belongs to one model."""

    params: list[Params]
    prefix: str
    """What stands before a parameter's name in the state dict of the run's task."""
    loss: Loss
    score: Score
    knobs: dict[str, Tensor] = field(default_factory=dict)
    """Numbers [K] that the loss reads."""
    draw: DrawBuffers | None = None


def rule_of(config: OptimizerConfig) -> str:
    """Return the name of the stacked update rule of an optimiser section."""
    match config:
        case SGDConfig():
            return "nesterov" if config.nesterov else "sgd"
        case AdamWConfig():
            return "adamw"
        case AdamConfig():
            return "adam"
    raise TypeError(f"no stacked update rule is known for {type(config).__name__}")


def settings_of(configs: Sequence[OptimizerConfig]) -> dict[str, list[float]]:
    """Return one list of K values per hyperparameter of the runs' common update rule."""
    names = ["momentum"] if isinstance(configs[0], SGDConfig) else ["beta1", "beta2", "eps"]
    settings = {name: [float(getattr(c, name)) for c in configs] for name in ("lr", "weight_decay", *names)}
    settings["bias_decay"] = [c.weight_decay if c.decay_biases else 0.0 for c in configs]
    return settings


def norm_limits(configs: Sequence[OptimizerConfig]) -> Tensor:
    """Return the largest gradient norm of each model, float64 [K]."""
    return torch.tensor(
        [float("inf") if c.clip_norm is None else c.clip_norm for c in configs], dtype=torch.float64
    )


def optimizer_names(config: OptimizerConfig, params: Params) -> list[str]:
    """Return the parameters in the order in which the torch optimiser of one run numbers them."""
    spared = [name for name, p in params.items() if not config.decay_biases and p.ndim <= 1]
    return [name for name in params if name not in spared] + spared
