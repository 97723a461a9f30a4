"""One optimiser made of several, each for its own parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class SplitOptimizer(Optimizer):
    """Takes the steps of several optimisers as one, so that Lightning's automatic optimisation has a single one.

    Groups and states are theirs: a schedule that moves a learning rate here moves it there.

    Args:
        parts: Optimisers of different parameters.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate ``closure`` once and let every part take its step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what ``state_dict`` returned."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Let the parts work on the groups and the states of the whole."""
        first = 0
        for part in self.parts:
            last = first + len(part.param_groups)
            part.param_groups, part.state = self.param_groups[first:last], self.state
            first = last
