"""Compiled steps: what replaces small products, layouts, and what happens where the compiler fails."""

import logging
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._inductor
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from gaplab.process.memory import keep_freed_memory
from gaplab.stacked import compile as compile_
from gaplab.stacked.compile import (
    CompiledFunction,
    has_compiler,
    pack,
    small_bmm,
    small_gather,
    unpack,
    write_as_read,
)

needs_compiler = pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="needs a C++ compiler")


@pytest.mark.parametrize("sizes", [(5, 3, 7), (2, 9, 8), (9, 8, 2), (600, 8, 3)])
def test_small_products_are_those_of_blas(sizes: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, inner, columns = sizes
    a = torch.randn(4, rows, inner, generator=generator, dtype=torch.float64)
    b = torch.randn(4, inner, columns, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(small_bmm(a, b), torch.bmm(a, b))


@pytest.mark.parametrize("sizes", [(9, 8, 2), (9, 3, 7)])
def test_products_lie_in_memory_as_their_large_factor(sizes: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, inner, columns = sizes
    a = torch.randn(4, inner, rows, generator=generator, dtype=torch.float64).mT
    b = torch.randn(4, inner, columns, generator=generator, dtype=torch.float64)
    found = small_bmm(a, b)
    torch.testing.assert_close(found, torch.bmm(a, b))
    assert found.mT.is_contiguous()
    assert small_bmm(a.contiguous(), b).is_contiguous()


@pytest.mark.parametrize("limit", [0, 100])
def test_unpacking_returns_what_was_packed(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_, "PACKED", limit)
    some = [torch.rand(2, 3, 1), torch.rand(2), torch.rand(2, dtype=torch.float64), torch.rand(2, 5).T]
    some += [torch.rand(()), torch.rand(2, 2)]
    packed = pack(some)
    assert len(packed) == (4 if limit else 6)
    assert all(torch.equal(one, other) for one, other in zip(unpack(packed, some), some, strict=True))


def test_one_tensor_in_two_places_is_two_after_a_call() -> None:
    zeros = torch.zeros(2, 3)
    packed = [whole + torch.arange(6.0) for whole in pack([zeros, zeros])]
    first, second = unpack(packed, [zeros, zeros])
    assert first[0].tolist() == [0, 1, 2]
    assert second[0].tolist() == [3, 4, 5]


def test_large_products_are_left_to_blas() -> None:
    a, b = torch.ones(2, 9, 9), torch.ones(2, 9, 9)
    assert small_bmm(a, b) is NotImplemented


def test_a_product_that_is_only_read_transposed_is_written_so() -> None:
    def function(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        product = torch.bmm(x.mT, y)
        return product.view(2, 5, 4).transpose(1, 2) + 1, torch.bmm(y.mT, x)

    x, y = (torch.rand(2, 3, size, dtype=torch.float64) for size in (5, 4))
    graph = make_fx(function, tracing_mode="fake")(x, y)
    write_as_read(graph)
    torch.testing.assert_close(graph(x, y), function(x, y))
    (last,) = (node for node in graph.graph.nodes if node.target is torch.ops.aten.add.Tensor)
    assert last.args[0].target is torch.ops.aten.bmm.default


@pytest.mark.parametrize("dim", [1, 2, -1])
def test_gathering_one_value_is_a_selection(dim: int) -> None:
    x = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))
    shape = [4, 5, 6]
    shape[dim] = 1
    index = torch.randint(5, shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(small_gather(x, dim, index), x.gather(dim, index))


def test_gathering_more_is_left_to_torch() -> None:
    assert small_gather(torch.ones(3, 4), 1, torch.zeros(3, 2, dtype=torch.int64)) is NotImplemented
    assert small_gather(torch.ones(3, 4), 1, torch.zeros(2, 1, dtype=torch.int64)) is NotImplemented
    assert small_gather(torch.ones(3, 99), 1, torch.zeros(3, 1, dtype=torch.int64)) is NotImplemented


def double(table: dict[str, Tensor], more: Tensor) -> dict[str, Tensor]:
    return {"sum": table["x"] + more, "twice": 2 * table["x"].T}


@needs_compiler
def test_kernel_gives_what_the_function_gives_for_every_layout() -> None:
    compiled = CompiledFunction(double, compile=True)
    wide, tall = torch.arange(6.0).view(2, 3), torch.arange(6.0).view(3, 2)
    for x in (wide, tall, tall.T, wide):
        more = torch.ones(x.shape)
        found = compiled({"x": x}, more)
        assert found.keys() == {"sum", "twice"}
        assert torch.equal(found["sum"], x + 1)
        assert torch.equal(found["twice"], 2 * x.T)
        assert found["twice"].is_contiguous(), "the next step would be another layout"
    assert compiled.compile
    assert len(compiled.compiled) == 3


def added(carried: dict[str, Tensor], batch: tuple[Tensor, ...], fixed: Tensor) -> tuple[Any, Tensor]:
    total = carried["x"] + fixed * batch[0]
    return {"x": total}, total.sum()


@pytest.mark.parametrize("compile", [False, pytest.param(True, marks=needs_compiler)])
def test_scan_hands_on_what_each_call_returns(compile: bool) -> None:
    batches = [torch.full((2, 2), 1.0), torch.full((2, 2), 2.0), torch.tensor([[3.0]]).expand(2, 2)]
    scanned = CompiledFunction(added, compile=compile)
    start = {"x": torch.tensor([[0.0, 1.0], [2.0, 3.0]]).T}
    last, sums = scanned.scan(start, [(batch,) for batch in batches], torch.tensor(10.0))
    assert torch.equal(last["x"], start["x"] + 60)
    assert [float(one) for one in sums] == [46.0, 126.0, 246.0]
    assert len(scanned.compiled) == (2 if compile else 0), "the third batch has another layout"
    assert scanned.scan({"x": last["x"]}, [], torch.tensor(10.0)) == ({"x": last["x"]}, [])


def test_kernel_without_a_working_compiler_runs_eagerly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("no compiler here\nand a long story")

    monkeypatch.setattr(torch._inductor, "standalone_compile", broken)
    compiled = CompiledFunction(double, compile=True)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = compiled({"x": torch.ones(2, 3)}, torch.ones(2, 3))
        scanned = CompiledFunction(added, compile=True)
        last, _ = scanned.scan({"x": torch.zeros(2)}, [(torch.ones(2),)] * 2, torch.tensor(1.0))
    assert torch.equal(last["x"], torch.full((2,), 2.0))
    assert torch.equal(found["sum"], torch.full((2, 3), 2.0))
    assert [record.getMessage() for record in caplog.records] == [
        "Running without the compiler, which failed: no compiler here"
    ] * 2


def test_memory_is_kept_where_the_allocator_can() -> None:
    kept = keep_freed_memory()
    assert kept or not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc"


@pytest.mark.parametrize("chosen", [None, "mine"])
def test_compiled_steps_are_kept_where_the_next_command_finds_them(
    tmp_path: Path, chosen: str | None
) -> None:
    given = {} if chosen is None else {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / chosen)}
    inherited = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    # Loading Dynamo is what makes torch settle on a folder.
    asked = "import gaplab, torch._dynamo, os; print(os.environ['TORCHINDUCTOR_CACHE_DIR'])"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", asked],
        env={**inherited, "XDG_CACHE_HOME": str(tmp_path), **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()) == tmp_path / (chosen or Path("gaplab", "compiled"))
