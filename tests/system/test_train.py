"""Chunks that shrink while they train, what they leave of a study, and a small study from command to ranking."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import gaplab.stacked.stacked_runs
from gaplab.config.compose import Composed, compose_config
from gaplab.errors import ConfigError
from gaplab.runs.resume import plan_new
from gaplab.stacked.stacked_runs import StackedRuns
from gaplab.storage.locking import unlock
from gaplab.sweeps.train_work import run_many
from gaplab.train import run_one
from running import TRAIN, running

QUICK = (
    "data.num_points=40",
    "data.num_val_points=0",
    "data.num_test_points=300",
    "data.batch_size=16",
    "network.widths=[8,8]",
    "network.dropout=0.1",
    "trainer.max_steps=60",
    "trainer.eval_every_n_steps=10",
    "trainer.test_only_at_end=true",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "trainer.precision=64-true",
    "measures=capacity",
    "logging.tensorboard=false",
    "logging.csv=false",
    "logging.checkpoints=false",
    "logging.pictures=false",
    "logging.diagnostics=none",
)
RUNS = 8
"""Of the small study, made smaller: widths, optimisers and seeds, two of each."""
JOBS = (
    ("seed=1", "trainer.stop_at_train_loss=1.05"),
    ("seed=2", "trainer.stop_at_train_loss=0.99", "network.dropout=0.3"),
    ("seed=3", "data.num_points=37", "trainer.stop_at_train_loss=0.95"),
    ("data_seed=1", "optimizer.lr=0.03", "trainer.stop_at_train_accuracy=0.5"),
    ("seed=1", "optimizer.weight_decay=0.1"),
)


def compose(*overrides: str) -> Composed:
    keys = {word.split("=")[0] for word in overrides}
    return compose_config([*(word for word in QUICK if word.split("=")[0] not in keys), *overrides])


def results_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / str(i) / "result.json").read_text()) for i in range(len(JOBS))]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The jobs trained in one chunk, which becomes smaller three times or so."""
    folder = tmp_path_factory.mktemp("together")
    run_many([plan_new(compose(*job), folder / str(i)) for i, job in enumerate(JOBS)], compile=False)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    for index, job in enumerate(JOBS):
        run_one(compose(*job), folder / str(index))
    return folder


def test_runs_stop_at_different_steps(together: Path) -> None:
    assert len({result["step"] for result in results_of(together)}) >= 3


def test_stacked_runs_leave_the_results_of_runs_alone(together: Path, alone: Path) -> None:
    for ours, theirs in zip(results_of(together), results_of(alone), strict=True):
        assert ours["step"] == theirs["step"]
        assert ours["last"] == pytest.approx(theirs["last"], rel=1e-8, nan_ok=True)
        # A jump of the noisy accuracy by one point moves a bisection by at most 2/2^15.
        assert ours["measures"].keys() == theirs["measures"].keys()
        for name, value in theirs["measures"].items():
            if value is not None:
                assert ours["measures"][name] == pytest.approx(value, rel=1e-6), name
            else:
                assert ours["measures"][name] is None


def test_leaving_out_what_is_over_changes_nothing(
    together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaplab.stacked.stacked_runs, "worthwhile", lambda ensemble, num_active: False)
    run_many([plan_new(compose(*job), tmp_path / str(i)) for i, job in enumerate(JOBS)], compile=False)
    assert results_of(tmp_path) == results_of(together)


def test_a_chunk_computes_only_what_still_trains(tmp_path: Path) -> None:
    plans = [plan_new(compose(*job), tmp_path / str(i)) for i, job in enumerate(JOBS)]
    chunk = StackedRuns(plans, width=len(plans))
    results = chunk.train()
    assert all(results)
    assert [result.step for result in results if result] == [
        json.loads((tmp_path / str(i) / "result.json").read_text())["step"] for i in range(len(JOBS))
    ]
    assert len(chunk.members) < len(JOBS)
    shapes = {len(p) for p in chunk.ensemble.stacked_optimizers[0].params.values()}
    assert shapes == {len(chunk.members)}
    assert all(torch.isfinite(p).all() for p in chunk.ensemble.stacked_optimizers[0].params.values())


def test_a_finished_run_without_checkpoints_is_finished(together: Path, alone: Path) -> None:
    for folder in (together, alone):
        assert not list(folder.glob("*/checkpoints/*"))
        assert plan_new(compose(*JOBS[0]), folder / "0").finished
        unlock(folder / "0")


def test_patience_cannot_watch_what_is_not_measured() -> None:
    with pytest.raises(ConfigError, match="test_only_at_end"):
        compose("trainer.early_stopping_patience=3", "data.num_val_points=30")


@pytest.mark.thorough
def test_a_small_study_from_command_to_ranking(tmp_path: Path) -> None:
    words = ["experiment=generalization_study_small", f"run.root={tmp_path}", "trainer.progress_bar=false"]
    words += ["network.widths=[8],[8,8]", "data.batch_size=20", "optimizer.weight_decay=0.0", "seed=0,1"]
    words += ["trainer.max_steps=600", "trainer.stop_at_train_loss=0.2", "data.num_test_points=500"]
    words += ["optimizer.lr=0.03", "hydra.launcher.compile=false"]
    for shown in (f"{RUNS} of {RUNS} runs finished", f"{RUNS} of {RUNS} runs are finished already"):
        with running([*TRAIN, "-m", *words], tmp_path / "log") as command:
            assert command.finish() == 0, command.output
            assert shown in command.output
    (sweep,) = (path for path in tmp_path.iterdir() if path.is_dir())
    with (sweep / "ledger.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == RUNS
    assert sum(name.startswith("capacity/") for name in rows[0]) == 29
    assert any(float(row["loss/train"]) <= 0.2 for row in rows)
    assert "pacbayes_orig" in (sweep / "ranking.md").read_text()
    assert (sweep / "ranking.png").is_file()
    assert not list(sweep.glob("*/checkpoints/*"))
    assert {file.parent.name for file in sweep.glob("*/events.out.*")} == {"summary"}
