"""Sharpness-aware minimisation around any optimiser of torch."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.optim import Optimizer

from gaplab.errors import ConfigError

RADIUS = "sharpness_radius"
"""The entry of a parameter group that holds rho."""
TINY = 1e-12
"""Added to the norm of a gradient, which may be zero."""


class SharpnessAware(Optimizer):
    """Takes the step of another optimiser with the gradient at w + rho g / |g| (Foret et al. 2021, algorithm 1).

    Groups and states are those of the other optimiser. The closure is called twice, and what is computed in the second
    call, at the perturbed weights, is the loss that training reports.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Climb, take the gradient there, and step from where the weights were.

        Raises:
            ConfigError: Without a closure, or where the other optimiser searches for a step by more losses.
        """
        if closure is None:
            raise ConfigError(
                "optimizer.sharpness_radius: expected a loop that can compute a gradient twice, but this one hands "
                "over no closure (trainer.precision=16-mixed, or a module that steps by hand). Set it to 0."
            )
        with torch.enable_grad():
            closure()
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        weights = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            norms = [torch.linalg.vector_norm(p.grad) for p in parameters]
            factor = self.param_groups[0][RADIUS] / (torch.linalg.vector_norm(torch.stack(norms)) + TINY)
            for p in parameters:
                p.add_(p.grad * factor)
        with torch.enable_grad():
            loss = closure()
        with torch.no_grad():
            for p, weight in zip(parameters, weights, strict=True):
                p.copy_(weight)
        super().step(self._once(loss))
        return loss

    def _once(self, loss: Any) -> Callable[[], Any]:
        """Return a closure that tells a loss once: at other weights it would be another one."""
        answers = iter((loss,))

        def closure() -> Any:
            for answer in answers:
                return answer
            raise ConfigError(
                "optimizer.sharpness_radius: expected an optimizer that looks at the loss once a step, but "
                f"{type(self).__mro__[2].__name__} searches along a line. Set it to 0."
            )

        return closure


def make_sharpness_aware(optimizer: Optimizer, radius: float) -> None:
    """Let an optimiser minimise the sharp loss from now on."""
    for group in optimizer.param_groups:
        group[RADIUS] = radius
    kind: Any = type(optimizer)  # hashable, which Optimizer's stub denies
    optimizer.__class__ = _sharpness_aware(kind)


@cache
def _sharpness_aware(kind: type) -> type:
    return type(f"SharpnessAware{kind.__name__}", (SharpnessAware, kind), {"__module__": __name__})
