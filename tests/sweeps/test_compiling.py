"""When a group of runs is compiled by default."""

from types import SimpleNamespace
from typing import Any

import pytest

from gaplab.config.compose import compose_config
from gaplab.sweeps import schedule
from gaplab.sweeps.schedule import worth_compiling

GAME = ("data=ring", "task=gan")


def jobs(number: int, steps: int, *overrides: str) -> Any:
    """Return so many runs of one setting, with so many steps left each."""
    plan = SimpleNamespace(composed=compose_config(list(overrides)))
    return [SimpleNamespace(plan=plan, work=steps) for _ in range(number)]


@pytest.mark.parametrize(
    ("number", "steps", "expected"), [(1, 15_999, False), (2, 8_000, True), (4, 2_000, False)]
)
def test_gans_are_compiled_where_all_their_steps_together_save_more_than_compiling_takes(
    monkeypatch: pytest.MonkeyPatch, number: int, steps: int, expected: bool
) -> None:
    monkeypatch.setattr(schedule, "has_compiler", lambda device: True)
    assert worth_compiling(jobs(number, steps, *GAME)) is expected


def test_a_word_decides_otherwise_and_so_does_a_missing_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "has_compiler", lambda device: True)
    assert worth_compiling(jobs(1, 10, *GAME, "trainer.compile=true"))
    assert not worth_compiling(jobs(2, 10_000, *GAME, "trainer.compile=false"))
    monkeypatch.setattr(schedule, "has_compiler", lambda device: False)
    assert not worth_compiling(jobs(2, 10_000, *GAME))


def test_classifiers_are_compiled_for_steps_or_for_points_and_other_tasks_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule, "has_compiler", lambda device: True)
    few = (
        "data.num_points=64",
        "data.num_val_points=0",
        "data.num_test_points=100",
        "trainer.eval_every_n_steps=10000",
    )
    assert not worth_compiling(jobs(1, 249_000, *few))
    assert worth_compiling(jobs(250, 1_000, *few)), "40 us a step"
    scored = ("data.num_test_points=1000000", "trainer.eval_every_n_steps=1000")
    assert worth_compiling(jobs(2, 10, *scored)), "0.7 us a point: ten measurements of two million"
    assert not worth_compiling(jobs(1_000, 10_000, "task=autoencoder", "network=mlp"))
