"""The state of one run between its torch optimiser and a stack of one model, which takes its steps."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from gaplab.stacked.stacked_optimizer import StackedOptimizer, optimizer_names
from gaplab.stacked.stacking import stacked_state, torch_state
from gaplab.stacked.update_rules import initial_state


class StackOfOne:
    """A network and its torch optimiser, which hold the state between two blocks of steps.

    Args:
        opt: Takes the steps.
        network: Whose parameters it moves.
    """

    def __init__(self, opt: StackedOptimizer, network: nn.Module) -> None:
        self.opt, self.network = opt, network
        self.settings: list[dict[str, Any]] | None = None
        """Of the torch optimiser's groups at the first block, but the learning rate."""

    def has_changed(self, optimizer: Optimizer, rate: float) -> bool:
        """Whether somebody has changed a setting of the torch optimiser; ``rate`` is the learning rate that is due."""
        apart = ("params", "lr", "initial_lr")
        settings = [{k: v for k, v in group.items() if k not in apart} for group in optimizer.param_groups]
        self.settings = self.settings or settings
        return settings != self.settings or any(group["lr"] != rate for group in optimizer.param_groups)

    def take_over(self, optimizer: Optimizer) -> None:
        """Read weights and moments from the network and its torch optimiser."""
        opt = self.opt
        opt.params = {name: p.detach()[None] for name, p in self.network.named_parameters()}
        saved = dict(enumerate(optimizer.state[p] for p in _parameters(optimizer)))
        opt.state = stacked_state([saved], initial_state(opt.rule, opt.params), [self._names()])

    def give_back(self, optimizer: Optimizer) -> None:
        """Write weights and moments to the network and its torch optimiser."""
        opt = self.opt
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                p.copy_(opt.params[name][0])
        if getattr(opt.configs[0], "momentum", 1.0) > 0:  # without it torch's SGD keeps nothing
            moments = torch_state(opt.rule, opt.state, 0, self._names(), opt.step_dtype)
            for number, p in enumerate(_parameters(optimizer)):
                if number in moments:
                    optimizer.state[p] = moments[number]

    def _names(self) -> list[str]:
        return optimizer_names(self.opt.configs[0], dict(self.network.named_parameters()))


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


@contextmanager
def steps_taken_elsewhere() -> Iterator[None]:
    """Let schedules move without torch's warning that its optimisers have taken no step."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*lr_scheduler.step.*before.*optimizer.step.*")
        yield
