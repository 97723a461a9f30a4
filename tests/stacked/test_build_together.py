import errno
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import pytest
import torch

from gaplab.stacked import build_together as module
from gaplab.stacked.build_together import FOLDER, build_together
from gaplab.stacked.compile import CompiledFunction
from gaplab.storage.locking import alone


class Owner:
    """Notes in which order its programs are compiled."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.compile = True

    def build(self, program: Any) -> None:
        self.order.append(program.name())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    return tmp_path / FOLDER


def programs(owner: Owner) -> list[Any]:
    return [SimpleNamespace(owner=owner, name=lambda name=name: name) for name in ("first", "second")]


def test_what_another_process_compiles_comes_last(cache: Path) -> None:
    owner = Owner()
    with alone(cache / "first.lock"):
        work = threading.Thread(target=build_together, args=[programs(owner)])
        work.start()
        time.sleep(0.5)
        assert owner.order == ["second"]
    work.join()
    assert owner.order == ["second", "first"]


def test_who_loads_what_another_has_compiled_keeps_nobody_waiting(cache: Path) -> None:
    free: dict[str, bool] = {}

    class Asking(Owner):
        def build(self, program: Any) -> None:
            with alone(cache / f"{program.name()}.lock", 0) as free[program.name()]:
                super().build(program)

    owner = Asking()
    with alone(cache / "first.lock"):
        work = threading.Thread(target=build_together, args=[programs(owner)])
        work.start()
        time.sleep(0.5)
        (cache / "first").touch()
    work.join()
    assert owner.order == ["second", "first"]
    assert free == {"second": False, "first": True}


def test_a_process_that_does_not_go_on_is_waited_for_only_so_long(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    owner = Owner()
    with alone(cache / "first.lock"):
        build_together(programs(owner))
    assert owner.order == ["second", "first"]


def test_what_is_in_the_cache_waits_for_nobody(cache: Path) -> None:
    owner = Owner()
    build_together(programs(owner))
    with alone(cache / "first.lock"):
        build_together(programs(owner))
    assert owner.order == ["first", "second"] * 2


def test_what_could_not_be_compiled_is_not_in_the_cache(cache: Path) -> None:
    owner = Owner()
    owner.compile = False
    build_together(programs(owner))
    assert not (cache / "first").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("flock")])
def test_each_compiles_all_where_the_file_system_has_no_locks(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    owner = Owner()
    build_together(programs(owner))
    assert owner.order == ["first", "second"]
    assert not list(cache.glob("*.marker")), "who is killed would leave it, and bar all later sweeps"


def test_each_compiles_all_where_nothing_can_be_written(cache: Path) -> None:
    cache.write_text("no folder")
    owner = Owner()
    build_together(programs(owner))
    assert owner.order == ["first", "second"]


def test_a_program_is_that_of_the_call(cache: Path) -> None:
    function = CompiledFunction(lambda x, y: x * y, compile=True)
    x, y = torch.arange(3.0), torch.ones(3)
    found = function.programs_of_call(x, y)
    again = CompiledFunction(lambda x, y: x * y, compile=True).programs_of_call(x, y)
    assert [program.name() for program in found] == [program.name() for program in again]
    (other,) = CompiledFunction(lambda x, y: x + y, compile=True).programs_of_call(x, y)
    assert other.name() != found[0].name()
    build_together(found)
    assert function.programs_of_call(x, y) == []
    assert torch.equal(function(x, y), x)
