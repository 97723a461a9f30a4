"""Tracing and compiling a step of K stacked models, and when that pays.

`vmap(grad(loss))` is first traced into one flat graph (no vmap, no autograd left), in which tiny batched
matrix products become sums of products; then inductor fuses it. Tracing first keeps Dynamo's limit on
recompilations out of the matter, because every graph is a new object.
"""

import logging
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

COMPILE_SECONDS = 10.0
"""What compiling the step and the scoring of classifiers takes on one core the first time."""
EAGER_STEP, EAGER_POINT = 40e-6, 250e-9
"""Seconds of one eager model-step of a classifier (batch of 64, 600 parameters), and of scoring one point."""
SMALL = 4

_log = logging.getLogger(__name__)


def small_bmm(a: Tensor, b: Tensor) -> Tensor:
    """`torch.bmm` as sums of products where one of the three sizes is tiny.

    BLAS pays a fixed price for every little matrix; written as sums, the compiler fuses the product with the
    activation before it and the reductions after it. Larger products stay with BLAS.
    """
    rows, inner, columns = a.shape[1], a.shape[2], b.shape[2]
    if inner <= SMALL:
        total = a[:, :, 0, None] * b[:, None, 0]
        for i in range(1, inner):
            total = total + a[:, :, i, None] * b[:, None, i]
        return total
    if rows <= SMALL:
        return torch.stack([(a[:, i, :, None] * b).sum(1) for i in range(rows)], 1)
    if columns <= SMALL:
        return torch.stack([(a * b[:, None, :, j]).sum(2) for j in range(columns)], 2)
    return NotImplemented


def has_compiler(device: torch.device) -> bool:
    """Whether inductor can generate code for `device` here."""
    if device.type == "cpu":
        return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)


def pays(model_steps: int, scored_points: int) -> bool:
    """Whether compiling the step of classifiers is expected to save more time than it takes."""
    return EAGER_STEP * model_steps + EAGER_POINT * scored_points > 2 * COMPILE_SECONDS


class Kernel:
    """A function of tensors that runs compiled for the shapes of its first call, or eagerly.

    Where the compiler fails, one sentence says so and the function runs eagerly from then on.
    """

    def __init__(self, function: Callable[..., Any], *, compile: bool) -> None:
        self.function = function
        self.compile = compile
        self.compiled: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        with torch.no_grad():
            if self.compile and self.compiled is None:
                try:
                    self.compiled = self._compile(*arguments)
                    return self.compiled(*arguments)
                except Exception as error:  # inductor raises whatever its toolchain raises
                    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                    _log.warning("Running without the compiler, which failed: %s", reason)
                    self.compile, self.compiled = False, None
            run = self.function if self.compiled is None else self.compiled
            return run(*arguments)

    def _compile(self, *arguments: Any) -> Callable[..., Any]:
        table = {torch.ops.aten.bmm.default: small_bmm}
        graph = make_fx(self.function, decomposition_table=table)(*arguments)
        return torch.compile(graph, fullgraph=True, dynamic=False)
