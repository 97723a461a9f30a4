"""What goes wrong with one run of a stack is that run's: its neighbours end as if they were alone."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gaplab.builders import build_data_and_task
from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError
from gaplab.runs.recorder import Recorder
from gaplab.runs.resume import Plan, plan_new
from gaplab.stacked import compile, stacked_runs
from gaplab.stacked.classifiers import StackedClassifiers
from gaplab.storage import locking
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.run_sweep import train_stacked
from gaplab.sweeps.train_work import run_many
from quick_runs import QUICK, set_once

WORDS = (*QUICK, "logging.subruns=never")


def train(folder: Path, *jobs: str, log: Callable[[str], None] = print) -> list[float]:
    composed = [compose_config(set_once(*WORDS, *job.split())) for job in jobs]
    return run_many(
        [plan_new(one, folder / str(i)) for i, one in enumerate(composed)], compile=False, log=log
    )


def record(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content


def test_a_loss_whose_square_overflows_diverges_alone(tmp_path: Path) -> None:
    steep = "task.loss=squared_error optimizer=sgd trainer.precision=64-true trainer.max_steps=80"
    words = [f"{steep} trainer.eval_every_n_steps=1 optimizer.lr={lr}" for lr in ("1e4", "0.01")]
    objectives = train(tmp_path, *words)
    assert [math.isnan(value) for value in objectives] == [True, False]
    assert [record(tmp_path / name)["status"] for name in ("0", "1")] == ["diverged", "finished"]
    table = (tmp_path / "0" / "metrics.csv").read_text().splitlines()
    losses = [float(row.split(",")[1]) for row in table[1:]]
    assert 1e154 < losses[-1] < math.inf, "its square is too large for a float, and it was measured"
    again = train(tmp_path, *words)
    assert again[1] == objectives[1]
    assert (tmp_path / "0" / "metrics.csv").read_text().splitlines() == table, (
        "typed again, no row stands twice"
    )


def break_measuring(monkeypatch: pytest.MonkeyPatch, victim: Recorder | None = None) -> None:
    measure = StackedClassifiers.measure

    def broken(self: StackedClassifiers, index: int, step: int) -> bool:
        if self.members[index].config.seed == 1 and step == 16:
            raise ZeroDivisionError("float division by zero")
        return measure(self, index, step)

    monkeypatch.setattr(StackedClassifiers, "measure", broken)


def break_last_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_last = StackedClassifiers.measure_last

    def broken(self: StackedClassifiers, data: Any, indices: Sequence[int]) -> None:
        if any(self.members[index].config.seed == 1 for index in indices):
            raise ZeroDivisionError("float division by zero")
        measure_last(self, data, indices)

    monkeypatch.setattr(StackedClassifiers, "measure_last", broken)


def break_result(monkeypatch: pytest.MonkeyPatch) -> None:
    conclude = stacked_runs.conclude

    def broken(recorder: Recorder, *arguments: Any, **settings: Any) -> Any:
        if recorder.config.seed == 1:
            raise ZeroDivisionError("float division by zero")
        return conclude(recorder, *arguments, **settings)

    monkeypatch.setattr(stacked_runs, "conclude", broken)


def break_building(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: Any, draws: Any = None) -> Any:
        if config.seed == 1:
            raise ZeroDivisionError("float division by zero")
        return build_data_and_task(config, draws)

    monkeypatch.setattr(stacked_runs, "build_data_and_task", broken)


@pytest.mark.parametrize("broken", [break_measuring, break_last_measures, break_result, break_building])
def test_an_exception_of_one_run_is_that_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: Callable[..., None],
) -> None:
    said: list[str] = []
    with monkeypatch.context() as patch:
        broken(patch)
        objectives = train(tmp_path, "seed=0", "seed=1", "seed=2", log=said.append)
    assert [math.isnan(value) for value in objectives] == [False, True, False]
    assert [record(tmp_path / name)["status"] for name in "012"] == ["finished", "failed", "finished"]
    assert record(tmp_path / "1")["error"] == "ZeroDivisionError: float division by zero"
    assert "ZeroDivisionError: float division by zero" in capsys.readouterr().err
    assert len(said) == 1, "nothing was trained one by one"
    assert locking._held == {}
    assert not math.isnan(train(tmp_path, "seed=0", "seed=1", "seed=2")[1]), "the same command tries it again"


def test_a_run_that_another_process_trains_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gaplab.sweeps import train_work

    def taken(plan: Plan) -> Plan:
        if plan.path.name == "1":
            raise ConfigError(f"{plan.path}: a run is at work in this directory (process 1 on elsewhere).")
        return plan_new(plan.composed, plan.path)

    monkeypatch.setattr(train_work, "plan_again", taken)
    objectives = train(tmp_path, "seed=0", "seed=1")
    assert [math.isnan(value) for value in objectives] == [False, True]
    assert "1: error: " in capsys.readouterr().err


def test_no_run_is_locked_before_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is an open file; thousands of runs that diverged or were stopped are begun before."""
    from gaplab.sweeps import train_work

    held: list[int] = []
    original = train_work.train_item

    def watched(item: Any, *arguments: Any) -> Any:
        held.append(len(locking._held))
        return original(item, *arguments)

    monkeypatch.setattr(train_work, "train_item", watched)
    wild = ("optimizer=sgd", "optimizer.lr=1e30", "network.widths=[8,8]")
    jobs = [
        SweepJob(compose_config(set_once(*WORDS, *wild, f"seed={seed}")), tmp_path / str(seed))
        for seed in range(3)
    ]
    for _ in range(2):
        train_stacked(jobs, max_models=1, compile=False, processes=1)
    assert held == [0] * 6
    assert {record(job.path)["status"] for job in jobs} == {"diverged"}


def test_steps_and_scores_are_compiled_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def run_traced(program: compile.Program) -> compile.FlatFunction:
        compiled.append(program.name())
        return lambda *own: list(program.graph(*own))

    monkeypatch.setattr(compile.Program, "build", run_traced)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    words = set_once(*QUICK, "trainer.eval_every_n_steps=null")
    plans = [plan_new(compose_config([*words, f"seed={seed}"]), tmp_path / str(seed)) for seed in range(2)]
    run_many(plans, compile=True, log=lambda text: None)
    assert len(set(compiled)) == len(compiled) == 2, "weights lie before the first step as they do after it"
    assert all((plan.path / "result.json").is_file() for plan in plans)
