"""When a group of runs is compiled by default."""

from types import SimpleNamespace
from typing import Any

import pytest

from gaplab.config.compose import compose_config
from gaplab.sweeps import schedule
from gaplab.sweeps.schedule import worth_compiling


def jobs(number: int, steps: int, *overrides: str) -> Any:
    """Return so many runs of one setting, with so many steps left each."""
    plan = SimpleNamespace(composed=compose_config(["data=ring", "task=gan", *overrides]))
    return [SimpleNamespace(plan=plan, work=steps) for _ in range(number)]


@pytest.mark.parametrize(
    ("number", "steps", "expected"), [(1, 15_999, False), (2, 8_000, True), (4, 2_000, False)]
)
def test_gans_are_compiled_where_all_their_steps_together_save_more_than_compiling_takes(
    monkeypatch: pytest.MonkeyPatch, number: int, steps: int, expected: bool
) -> None:
    monkeypatch.setattr(schedule, "has_compiler", lambda device: True)
    assert worth_compiling(jobs(number, steps)) is expected


def test_a_word_decides_otherwise_and_so_does_a_missing_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "has_compiler", lambda device: True)
    assert worth_compiling(jobs(1, 10, "trainer.compile=true"))
    assert not worth_compiling(jobs(2, 10_000, "trainer.compile=false"))
    monkeypatch.setattr(schedule, "has_compiler", lambda device: False)
    assert not worth_compiling(jobs(2, 10_000))
