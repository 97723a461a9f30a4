"""Tracing and compiling a step of K stacked models.

``vmap(grad(loss))`` is first traced into one flat graph (no vmap, no autograd left), in which tiny batched
matrix products become sums of products; then inductor fuses it and spreads it over the processors. Dynamo,
which would look at the graph once more and guard every call, is left out.
"""

import contextlib
import functools
import hashlib
import itertools
import logging
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from gaplab.process.fast_imports import collector_resting

SMALL, FEW, MANY = 4, 16, 512
PACKED = 2**18
"""Numbers up to which tensors are packed; with more, matrix products of separate tensors save more."""

Layouts = tuple[tuple[torch.Size, tuple[int, ...]], ...]
FlatFunction = Callable[..., list[Tensor]]
"""Of tensors, one by one."""
Request = tuple[Layouts, Callable[..., Any], Any]
"""A function and arguments that it is to be compiled for, after their layouts."""

_log = logging.getLogger(__name__)


def small_bmm(a: Tensor, b: Tensor) -> Tensor:
    """``torch.bmm`` as sums of products where one of the three sizes is tiny.

    BLAS pays a fixed price for every little matrix; written as sums, the compiler fuses the product with the
    activation before it and the reductions after it. Larger products stay with BLAS.

    Where the rows of the large factor lie side by side in memory, so do those of the product: what follows then
    reads whole vectors of points, however few the columns.
    """
    rows, inner, columns = a.shape[1], a.shape[2], b.shape[2]
    side_by_side = a.stride(1) <= a.stride(2)
    if inner <= SMALL:
        products = (
            b[:, i, :, None] * a[:, None, :, i] if side_by_side else a[:, :, i, None] * b[:, None, i]
            for i in range(inner)
        )
        total = functools.reduce(torch.add, products)
        return total.mT if side_by_side else total
    if rows <= SMALL:
        return torch.stack([(a[:, i, :, None] * b).sum(1) for i in range(rows)], 1)
    if columns <= SMALL:
        found = [(a * b[:, None, :, j]).sum(2) for j in range(columns)]
        return torch.stack(found, 1).mT if side_by_side or rows > MANY else torch.stack(found, 2)
    return NotImplemented


def small_gather(x: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``torch.gather`` of one of few values as selections, which the compiler can vectorise."""
    single = [1 if d == dim % x.dim() else size for d, size in enumerate(x.shape)]
    if list(index.shape) != single or x.shape[dim] > FEW:
        return NotImplemented
    index = index.to(torch.float32)  # whose comparisons select floats; of int64 a vector holds half as many
    first, *others = x.split(1, dim)
    chosen = first.expand_as(index)
    for number, value in enumerate(others, 1):
        chosen = torch.where(index == number, value, chosen)
    return chosen


OPTIONS: dict[str, Any] = {
    "cpp.vec_isa_ok": True,
    "cpp.enable_floating_point_contract_flag": "fast",
    "size_asserts": False,
}
"""Believe the processor about its instruction sets, for each of which inductor would compile and load a file; round
once for a product that is added, as BLAS does; and leave the check of layouts to ``CompiledFunction``."""
CPU_OPTIONS = OPTIONS | {"realize_reads_threshold": 12, "realize_cpu_opcount_threshold": 100}
"""Compute small layers again in each loop that reads them: their activations would leave the cache before that."""
MANY_PRODUCTS = 4
"""Matrix products from which on headers are compiled by themselves. Between two products stands a kernel of its own,
which compiles sooner then; but every process has to make sure that the headers have not changed, for a few kernels in
vain."""
DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.bmm.default: small_bmm,
    torch.ops.aten.gather.default: small_gather,
}


@functools.cache
def load_compiler() -> None:
    """Import what compiling needs, before there is data that the garbage collector has to find again."""
    with collector_resting(), contextlib.suppress(Exception):  # who compiles says what is wrong
        import_module("torch._inductor.compile_fx")


def has_compiler(device: torch.device) -> bool:
    """Whether inductor can generate code for ``device`` here."""
    if device.type == "cpu":
        return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)


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
            known = self._compiled(layouts(tensors), self.function, arguments) if self.compile else None
            if known is None:
                return self.function(*arguments)
            run, result = known
            return rebuilt(result, iter(run(*tensors)))

    def scan(
        self,
        carried: Any,
        batches: Iterable[Any],
        fixed: Any,
        after_each: Callable[[Any], None] | None = None,
    ) -> tuple[Any, list[Tensor]]:
        """Call ``function(carried, batch, fixed)`` for each batch; it returns the next ``carried``, and a tensor.

        Return the last ``carried``, and the tensors. ``after_each`` is given what is carried after each call.

        Compiled code takes ``carried`` and ``fixed`` in one piece for each dtype, and leaves ``carried`` so: most of
        the time of a small model would go to handing over its tensors, and to finding memory for each.
        """
        found: list[Tensor] = []
        like, shapes, known = leaves(carried), None, None
        packed: list[Tensor] = []

        def whole() -> Any:
            return rebuilt(carried, iter(unpack(packed, like))) if packed else carried

        with torch.no_grad():
            for batch in batches:
                own = leaves(batch) if self.compile else []
                if self.compile and layouts(own) != shapes:
                    carried, shapes = whole(), layouts(own)
                    known = self._compiled(*self._of_scan(carried, batch, fixed))
                    packed, constants = (
                        ([], []) if known is None else (pack(leaves(carried)), pack(leaves(fixed)))
                    )
                if known is None:
                    carried, output = self.function(carried, batch, fixed)
                else:
                    *packed, output = known[0](*packed, *own, *constants)
                found.append(output)
                if after_each is not None:
                    after_each(whole())
        return whole(), found

    def programs_of_call(self, *arguments: Any) -> list["Program"]:
        """Return what a call would compile, for who wants to have it done before."""
        return self._missing(layouts(leaves(arguments)), self.function, arguments)

    def programs_of_scan(self, carried: Any, batch: Any, fixed: Any) -> list["Program"]:
        """Return what ``scan`` would compile for a batch."""
        return self._missing(*self._of_scan(carried, batch, fixed))

    def build(self, program: "Program") -> None:
        """Compile one of its programs; where that fails, run eagerly from now on."""
        with self._attempt():
            self.compiled[program.key] = program.build(), program.result

    def _of_scan(self, carried: Any, batch: Any, fixed: Any) -> Request:
        """A function of what is packed of ``carried``, the tensors of ``batch``, what is packed of ``fixed``."""
        like, constants = leaves(carried), leaves(fixed)

        def function(state: list[Tensor], batch: Any, unchanged: list[Tensor]) -> tuple[list[Tensor], Tensor]:
            after, output = self.function(
                rebuilt(carried, iter(unpack(state, like))),
                batch,
                rebuilt(fixed, iter(unpack(unchanged, constants))),
            )
            return pack(leaves(after)), output

        key = layouts([*(t.contiguous() for t in like), *leaves(batch), *(t.contiguous() for t in constants)])
        return key, function, (pack(like), batch, pack(constants))

    def _compiled(
        self, key: Layouts, function: Callable[..., Any], arguments: Any
    ) -> tuple[FlatFunction, Any] | None:
        """Return a function for the layouts of some arguments, and the form of its result; None if that fails."""
        for program in self._missing(key, function, arguments):
            self.build(program)
        return self.compiled.get(key)

    def _missing(self, key: Layouts, function: Callable[..., Any], arguments: Any) -> list["Program"]:
        """Trace a function for the layouts of some arguments, if that has not been done, in a list of one."""
        if self.compile and key not in self.compiled:
            with self._attempt(), torch.no_grad():
                return [trace(self, key, function, arguments)]
        return []

    @contextlib.contextmanager
    def _attempt(self) -> Iterator[None]:
        """Say in one sentence what fails within this block, and run eagerly from then on."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's own; none of them is about the function
                yield
        except Exception as error:  # inductor raises whatever its toolchain raises
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            _log.warning("Running without the compiler, which failed: %s", reason)
            self.compile = False


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


def pack(tensors: list[Tensor]) -> list[Tensor]:
    """Return one tensor [K, ...] for all of one dtype and first size K, beside each other; many numbers stay apart."""
    if _are_many(tensors):
        return [t.contiguous() for t in tensors]
    rows = [t.reshape(*t.shape[:1], -1) for t in tensors]
    return [torch.cat([rows[place] for place in alike], -1) for alike in _alike(tensors)]


def unpack(packed: list[Tensor], like: list[Tensor]) -> list[Tensor]:
    """Return views of what ``pack`` was given; ``like`` are tensors of the same shapes and dtypes."""
    if _are_many(like):
        return packed
    found: dict[int, Tensor] = {}
    for whole, alike in zip(packed, _alike(like), strict=True):
        parts = whole.split([like[place].shape[1:].numel() for place in alike], -1)
        found |= {place: part.view(like[place].shape) for place, part in zip(alike, parts, strict=True)}
    return [found[place] for place in range(len(like))]


def laid_out(carried: Any) -> Any:
    """Return what ``scan`` is to carry as it will leave it, in views of one piece for each dtype.

    A compiled function that reads it, before and after steps, is compiled once then and not twice.
    """
    like = leaves(carried)
    return rebuilt(carried, iter(unpack(pack(like), like)))


def _are_many(tensors: list[Tensor]) -> bool:
    return sum(tensor.numel() for tensor in tensors) > PACKED


def _alike(tensors: list[Tensor]) -> list[list[int]]:
    """Return the places of the tensors of each dtype and first size, in the order in which these first occur."""
    kinds: dict[Any, list[int]] = {}
    for place, tensor in enumerate(tensors):
        kinds.setdefault((tensor.dtype, tensor.shape[:1]), []).append(place)
    return list(kinds.values())


def layouts(tensors: list[Tensor]) -> Layouts:
    """Return what a compiled function depends on."""
    return tuple([(tensor.shape, tensor.stride()) for tensor in tensors])


def write_as_read(module: GraphModule) -> None:
    """Compute each matrix product that is only read transposed as the product of the transposed factors, swapped.

    Autograd leaves the gradient of a layer's weights so; the update would read it column by column.
    """
    bmm, transpose, aten = torch.ops.aten.bmm.default, torch.ops.aten.transpose.int, torch.ops.aten
    views = (aten.view.default, aten._unsafe_view.default, aten.expand.default)
    for product in module.graph.find_nodes(op="call_function", target=bmm):
        last = product
        while len(last.users) == 1 and (last is product or last.target in views):
            (last,) = last.users
        if last.target is not transpose or sorted(d % 3 for d in last.args[1:]) != [1, 2]:
            continue
        if last.args[0].meta["val"].shape != product.meta["val"].shape:
            continue
        with module.graph.inserting_before(product):
            a, b = (module.graph.call_function(transpose, (factor, 1, 2)) for factor in product.args)
            last.replace_all_uses_with(module.graph.call_function(bmm, (b, a)))
    module.graph.eliminate_dead_code()
    module.recompile()


@dataclass(frozen=True, slots=True)
class Program:
    """A function that is traced for some layouts, and not yet compiled."""

    owner: CompiledFunction
    key: Layouts
    graph: GraphModule
    tensors: list[Tensor]
    result: Any
    """The form of what it returns."""

    def name(self) -> str:
        """Return what is the same in all processes that compile the same, and hardly ever for anything else."""
        text = f"{torch.__version__} {self.graph.code} {self.key}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @collector_resting(makes_garbage=True)  # it would take a tenth of the time
    def build(self) -> FlatFunction:
        """Compile it.

        Raises:
            Exception: Whatever the compiler raises.
        """
        from torch._inductor import standalone_compile  # takes a second

        options = CPU_OPTIONS if self.tensors[0].device.type == "cpu" else OPTIONS
        num_products = len(self.graph.graph.find_nodes(op="call_function", target=torch.ops.aten.bmm.default))
        options = options | {"cpp_cache_precompile_headers": num_products >= MANY_PRODUCTS}
        with torch.no_grad():
            return standalone_compile(
                self.graph,
                [*self.tensors],
                dynamic_shapes="from_example_inputs",
                options={"config_patches": options},
            )


@collector_resting(makes_garbage=True)
def trace(owner: CompiledFunction, key: Layouts, function: Callable[..., Any], arguments: Any) -> Program:
    """Return ``function`` as a flat graph, for the layouts of some arguments.

    Raises:
        Exception: Whatever tracing raises.
    """
    tensors, result = leaves(arguments), []

    def flat(*own: Tensor) -> list[Tensor]:
        found = function(*rebuilt(arguments, iter(own)))
        result.append(rebuilt(found, itertools.repeat(True)))
        # The results of a step are the next one's arguments, so their layout must stay; copying is fused.
        return [leaf.clone(memory_format=torch.contiguous_format) for leaf in leaves(found)]

    # Tensors without numbers are traced in half the time.
    graph = make_fx(flat, decomposition_table=DECOMPOSITIONS, tracing_mode="fake")(*tensors)
    write_as_read(graph)
    return Program(owner, key, graph, tensors, result[0])
