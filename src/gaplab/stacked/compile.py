"""Tracing and compiling a step of K stacked models, and when that pays.

``vmap(grad(loss))`` is first traced into one flat graph (no vmap, no autograd left), in which tiny batched
matrix products become sums of products; then inductor fuses it and spreads it over the processors. Dynamo,
which would look at the graph once more and guard every call, is left out.
"""

import itertools
import logging
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

COMPILE_SECONDS = 10.0
"""What compiling the step and the scoring of classifiers takes on one core the first time."""
EAGER_STEP, EAGER_POINT = 40e-6, 7e-7
"""Seconds of one eager model-step of a classifier (batch of 64, 600 parameters), and of scoring one point."""
SMALL, FEW, MANY = 4, 16, 512

Layouts = tuple[tuple[torch.Size, tuple[int, ...]], ...]
FlatFunction = Callable[..., list[Tensor]]
"""Of tensors, one by one."""

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


OPTIONS = {
    "config_patches": {
        "cpp.vec_isa_ok": True,
        "cpp.enable_floating_point_contract_flag": "fast",
        "size_asserts": False,
    }
}
"""Believe the processor about its instruction sets, for each of which inductor would compile and load a file; round
once for a product that is added, as BLAS does; and leave the check of layouts to ``CompiledFunction``."""
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
        self.compiled: dict[Layouts, tuple[FlatFunction, Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        with torch.no_grad():
            tensors = leaves(arguments) if self.compile else []
            known = self._compiled(arguments, tensors) if self.compile else None
            if known is None:
                return self.function(*arguments)
            run, result = known
            return rebuilt(result, iter(run(*tensors)))

    def scan(self, carried: Any, batches: Iterable[Any], fixed: Any) -> tuple[Any, list[Any]]:
        """Call ``function(carried, batch, fixed)`` for each batch; it returns the next ``carried``, and a tensor.

        Return the last ``carried``, and the tensors. Python looks into ``carried`` and ``fixed`` only once.
        """
        found: list[Tensor] = []
        state = [
            tensor.contiguous() for tensor in leaves(carried)
        ]  # as what comes back is, of the same layout
        constants, shapes, known = leaves(fixed), None, None
        with torch.no_grad():
            for batch in batches:
                own = leaves(batch) if self.compile else []
                if self.compile and layouts(own) != shapes:
                    carried, shapes = rebuilt(carried, iter(state)), layouts(own)
                    known = self._compiled((carried, batch, fixed), [*state, *own, *constants])
                if known is None:
                    carried, output = self.function(carried, batch, fixed)
                else:
                    *state, output = known[0](*state, *own, *constants)
                found.append(output)
        return carried if known is None else rebuilt(carried, iter(state)), found

    def _compiled(self, arguments: Any, tensors: list[Tensor]) -> tuple[FlatFunction, Any] | None:
        """Return the function for the layouts of some arguments, and the form of its result; None if that fails."""
        key = layouts(tensors)
        if key not in self.compiled:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the compiler's own; none of them is about the function
                    self.compiled[key] = _compile(self.function, arguments)
            except Exception as error:  # inductor raises whatever its toolchain raises
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                _log.warning("Running without the compiler, which failed: %s", reason)
                self.compile = False
                return None
        return self.compiled[key]


def leaves(arguments: Any) -> list[Tensor]:
    """Return the tensors in nested dicts, tuples and lists; torch's own way through them takes as long as a step."""
    if isinstance(arguments, Tensor):
        return [arguments]
    found: list[Tensor] = []
    if arguments is not None:
        for part in arguments.values() if isinstance(arguments, dict) else arguments:
            if isinstance(part, Tensor):
                found.append(part)
            else:
                found += leaves(part)
    return found


def rebuilt(form: Any, tensors: Iterator[Any]) -> Any:
    """Return what has the form of ``form``, with tensors in their order.

    >>> rebuilt({"a": 0, "b": (0, None)}, iter("xy"))
    {'a': 'x', 'b': ('y', None)}
    """
    if isinstance(form, dict):
        return {name: rebuilt(part, tensors) for name, part in form.items()}
    if isinstance(form, tuple | list):
        parts = [rebuilt(part, tensors) for part in form]
        return form._make(parts) if hasattr(form, "_make") else type(form)(parts)
    return None if form is None else next(tensors)


def layouts(tensors: list[Tensor]) -> Layouts:
    """Return what a compiled function depends on."""
    return tuple([(tensor.shape, tensor.stride()) for tensor in tensors])


def _compile(function: Callable[..., Any], arguments: Any) -> tuple[FlatFunction, Any]:
    """Return ``function`` for the layouts of some arguments, and the form of its result."""
    from torch._inductor import standalone_compile  # takes a second

    tensors, result = leaves(arguments), []

    def flat(*own: Tensor) -> list[Tensor]:
        found = function(*rebuilt(arguments, iter(own)))
        result.append(rebuilt(found, itertools.repeat(True)))
        # The results of a step are the next one's arguments, so their layout must stay; copying is fused.
        return [leaf.clone(memory_format=torch.contiguous_format) for leaf in leaves(found)]

    # Tensors without numbers are traced in half the time.
    graph = make_fx(flat, decomposition_table=DECOMPOSITIONS, tracing_mode="fake")(*tensors)
    run = standalone_compile(graph, [*tensors], dynamic_shapes="from_example_inputs", options=OPTIONS)
    return run, result[0]
