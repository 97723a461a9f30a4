"""One optimiser of K runs: the parameters that it moves, its moments, and its numbers for each run."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gaplab.config.optimizer import OptimizerConfig, Schedule
from gaplab.stacked.stacking import fill, moved, stack, stacked_state, torch_state
from gaplab.stacked.update_rules import RULES, Params, Update, initial_state, stack_hyperparameters
from gaplab.tasks.optimizers import build_optimizer, build_schedule, schedule_factor


class StackedOptimizer:
    """Parameters of one network of K runs, and how they are updated.

    Args:
        prefix: What stands before a parameter's name in the state dict of a run's task.
        params: The initial parameters of each run.
        configs: The optimiser section of each run; they name the same rule.
        width: Number of models that are computed; those beyond the runs only fill up.
        num_steps: Steps of the run, on which schedules end.
        every: Steps of the run for one step of this optimiser.
        step_dtype: Type in which torch's Adam counts its steps. Double precision of Lightning's is the default
            type inside ``training_step`` only, so that it depends on who steps.
    """

    def __init__(
        self,
        prefix: str,
        params: Sequence[Params],
        configs: Sequence[OptimizerConfig],
        *,
        width: int,
        num_steps: int,
        every: int = 1,
        step_dtype: torch.dtype = torch.float32,
    ) -> None:
        self.prefix, self.configs, self.width = prefix, configs, width
        self.step_dtype = step_dtype
        self.num_steps, self.every = num_steps // every, every
        rule = configs[0].update_rule
        assert rule is not None, "grouping.obstacle lets only such optimisers pass"
        self.rule = rule
        self.clips = configs[0].max_grad_norm is not None
        self.sharpens = configs[0].sharpness_radius > 0
        self.params = stack(params, width)
        self.state = initial_state(self.rule, self.params)
        hyper = stack_hyperparameters(self.rule, len(configs), settings_of(configs))
        hyper["max_grad_norm"] = norm_limits(configs)
        radii = [config.sharpness_radius for config in configs]
        hyper["sharpness_radius"] = torch.tensor(radii, dtype=torch.float64)
        self.hyper = {name: fill(values, width) for name, values in hyper.items()}

    @property
    def update(self) -> Update:
        return RULES[self.rule]

    @property
    def num_parameters(self) -> int:
        """Parameters of one run."""
        return sum(p[0].numel() for p in self.params.values())

    def to(self, device: torch.device) -> None:
        """Move everything to a device."""
        self.params, self.hyper = moved(self.params, device), moved(self.hyper, device)
        buffers = {name: moved(buffer, device) for name, buffer in self.state.buffers.items()}
        self.state = self.state._replace(steps=self.state.steps.to(device), buffers=buffers)

    def rate(self, index: int, step: int) -> float:
        """Return the learning rate of one run after a number of the run's steps."""
        config = self.configs[index]
        return config.lr * schedule_factor(config, step // self.every, self.num_steps)

    def rates(self, steps: Sequence[int]) -> Tensor:
        """Return the learning rate of every model at every step of the run, float64 [S, K]."""
        device = self.hyper["lr"].device
        if all(c.schedule is Schedule.constant and c.warmup_steps == 0 for c in self.configs):
            return self.hyper["lr"].expand(len(steps), self.width)
        rates = [[self.rate(index, step) for step in steps] for index in range(len(self.configs))]
        return fill(torch.tensor(rates, dtype=torch.float64), self.width).T.contiguous().to(device)

    def torch_states(self, index: int, step: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the states that one run's torch optimiser and schedule would have after a step."""
        config = self.configs[index]
        weights = {name: p[index] for name, p in self.params.items()}
        optimizer = build_optimizer(config, [nn.Parameter(tensor) for tensor in weights.values()])
        schedule = build_schedule(config, optimizer, self.num_steps)
        state = optimizer.state_dict()
        names = optimizer_names(config, weights)
        # Without momentum torch's SGD keeps nothing.
        keeps = getattr(config, "momentum", 1.0) > 0
        moments = torch_state(self.rule, self.state, index, names, self.step_dtype) if keeps else {}
        state["state"] = {n: {k: v.cpu() for k, v in m.items()} for n, m in moments.items()}
        rate, taken = self.rate(index, step), step // self.every
        for group in state["param_groups"]:
            group |= {"lr": rate, "initial_lr": config.lr}
        if schedule is None:
            return state, None
        rates = [rate] * len(state["param_groups"])
        progress = {"last_epoch": taken, "_step_count": taken + 1, "_last_lr": rates}
        return state, schedule.state_dict() | progress

    def restore(self, saved: Sequence[dict[str, Any]]) -> None:
        """Take the moments out of the state of each run's torch optimiser."""
        names = [optimizer_names(c, {k: p[0] for k, p in self.params.items()}) for c in self.configs]
        self.state = stacked_state([one["state"] for one in saved], self.state, names)


DrawBuffers = Callable[[int, int, int], Params]
"""``draw(model, step, num_points)``: what one model draws for one step, for example dropout masks."""


def settings_of(configs: Sequence[OptimizerConfig]) -> dict[str, list[float]]:
    """Return one list of K values per hyperparameter of the runs' common update rule."""
    names = ("lr", "weight_decay", *configs[0].stacked_settings)
    settings = {name: [float(getattr(c, name)) for c in configs] for name in names}
    settings["bias_decay"] = [c.weight_decay if c.weight_decay_on_bias else 0.0 for c in configs]
    return settings


def norm_limits(configs: Sequence[OptimizerConfig]) -> Tensor:
    """Return the largest gradient norm of each model, float64 [K]."""
    return torch.tensor(
        [float("inf") if c.max_grad_norm is None else c.max_grad_norm for c in configs], dtype=torch.float64
    )


def optimizer_names(config: OptimizerConfig, params: Params) -> list[str]:
    """Return the parameters in the order in which the torch optimiser of one run numbers them."""
    spared = [name for name, p in params.items() if not config.weight_decay_on_bias and p.ndim <= 1]
    return [name for name in params if name not in spared] + spared
