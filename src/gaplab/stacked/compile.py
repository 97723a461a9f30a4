"""Tracing and compiling a step of K stacked models, and when that pays.

``vmap(grad(loss))`` is first traced into one flat graph (no vmap, no autograd left), in which tiny batched
matrix products become sums of products; then inductor fuses it and spreads it over the processors. Dynamo,
which would look at the graph once more and guard every call, is left out.
"""

import logging
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

COMPILE_SECONDS = 10.0
"""What compiling the step and the scoring of classifiers takes on one core the first time."""
EAGER_STEP, EAGER_POINT = 40e-6, 7e-7
"""Seconds of one eager model-step of a classifier (batch of 64, 600 parameters), and of scoring one point."""
SMALL, FEW, MANY = 4, 16, 512

Layouts = tuple[tuple[torch.Size, tuple[int, ...]], ...]

_log = logging.getLogger(__name__)


def small_bmm(a: Tensor, b: Tensor) -> Tensor:
    """``torch.bmm`` as sums of products where one of the three sizes is tiny.

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
        found = [(a * b[:, None, :, j]).sum(2) for j in range(columns)]
        # Where there are many rows, the columns lie apart, so that what follows reads whole vectors.
        return torch.stack(found, 1).transpose(1, 2) if rows > MANY else torch.stack(found, 2)
    return NotImplemented


def small_gather(x: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``torch.gather`` of one of few values as selections, which the compiler can vectorise."""
    single = [1 if d == dim % x.dim() else size for d, size in enumerate(x.shape)]
    if list(index.shape) != single or x.shape[dim] > FEW:
        return NotImplemented
    first, *others = x.split(1, dim)
    chosen = first.expand_as(index)
    for number, value in enumerate(others, 1):
        chosen = torch.where(index == number, value, chosen)
    return chosen


OPTIONS = {"config_patches": {"cpp.vec_isa_ok": True, "cpp.enable_floating_point_contract_flag": "fast"}}
"""Believe the processor about its instruction sets, for each of which inductor would compile and load a file;
and round once for a product that is added, as BLAS does."""
DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.bmm.default: small_bmm,
    torch.ops.aten.gather.default: small_gather,
}


def has_compiler(device: torch.device) -> bool:
    """Whether inductor can generate code for ``device`` here."""
    if device.type == "cpu":
        return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)


def pays(model_steps: int, scored_points: int) -> bool:
    """Whether compiling the step of classifiers is expected to save more time than it takes."""
    return EAGER_STEP * model_steps + EAGER_POINT * scored_points > COMPILE_SECONDS


class CompiledFunction:
    """A function of tensors that runs compiled, once for each set of shapes and strides, or eagerly.

    Where the compiler fails, one sentence says so and the function runs eagerly from then on.
    """

    def __init__(self, function: Callable[..., Any], *, compile: bool) -> None:
        self.function = function
        self.compile = compile
        self.compiled: dict[Layouts, Callable[[list[Tensor]], Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        with torch.no_grad():
            if not self.compile:
                return self.function(*arguments)
            tensors, spec = tree_flatten(arguments)
            layouts = tuple((tensor.shape, tensor.stride()) for tensor in tensors)
            known = self.compiled.get(layouts)
            if known is not None:
                return known(tensors)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the compiler's own; none of them is about the function
                    self.compiled[layouts] = compiled = _compile(self.function, tensors, spec)
                return compiled(tensors)
            except Exception as error:  # inductor raises whatever its toolchain raises
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                _log.warning("Running without the compiler, which failed: %s", reason)
                self.compile = False
                return self.function(*arguments)


def _compile(function: Callable[..., Any], tensors: list[Tensor], spec: TreeSpec) -> Callable[..., Any]:
    """Return ``function`` for the layouts of some arguments; it takes them as a flat list."""
    # Beside other users' files in the system's temporary folder, where inductor keeps it, it would not last.
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gaplab" / "compiled"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(kept))
    from torch._inductor import standalone_compile  # takes a second

    result: list[TreeSpec] = []

    def flat(*arguments: Tensor) -> list[Tensor]:
        leaves, found = tree_flatten(function(*tree_unflatten(list(arguments), spec)))
        result.append(found)
        # The results of a step are the next one's arguments, so their layout must stay; copying is fused.
        return [leaf.clone(memory_format=torch.contiguous_format) for leaf in leaves]

    graph = make_fx(flat, decomposition_table=DECOMPOSITIONS)(*tensors)
    run = standalone_compile(graph, [*tensors], dynamic_shapes="from_example_inputs", options=OPTIONS)

    def call(arguments: list[Tensor]) -> Any:
        return tree_unflatten(run(*arguments), result[0])

    return call
