"""Optuna's sweeper over stacked models; a run that diverges does not end the study."""

import csv
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from gaplab.config.compose import compose_tree
from gaplab.sweeps.naming import num_jobs, worst_objective
from quick_runs import QUICK
from running import TRAIN, finished

pytestmark = pytest.mark.skipif(
    find_spec("optuna") is None, reason="needs optuna: pip install -e '.[optuna]'"
)

SEARCH = (
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=6",
    "hydra.sweeper.n_jobs=3",
    "hydra.sweeper.sampler.seed=1",
    "optimizer=sgd",
    "optimizer.lr=choice(0.1,1e30)",
    "seed=int(interval(0,1000))",
)


def test_a_study_survives_runs_that_diverge(tmp_path: Path) -> None:
    words = [*SEARCH, *QUICK, f"run.root={tmp_path / 'logs'}", "hydra/launcher=vectorized"]
    command = finished([*TRAIN, "-m", *words], tmp_path / "log.txt")
    assert command.process.returncode == 0, command.output
    (sweep,) = (tmp_path / "logs").iterdir()
    with (sweep / "ledger.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["optimizer.lr"], row["status"]) for row in rows}
    assert found == {("0.1", "finished"), ("1e+30", "diverged")}
    assert len(rows) == 6
    assert command.output.count("Group 1 of 1: ") == 2, "a batch of n_jobs trains together"
    assert "optimizer.lr" in (sweep / "optimization_results.yaml").read_text()


def test_a_study_goes_on_without_losing_trials(tmp_path: Path) -> None:
    storage, sweep = f"sqlite:///{tmp_path / 'study.db'}", tmp_path / "sweep"
    words = [word for word in SEARCH if "n_trials" not in word] + [*QUICK, "hydra/launcher=vectorized"]
    words += [f"hydra.sweep.dir={sweep}", f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=mine"]

    def done(*more: str) -> dict[Path, int]:
        command = finished([*TRAIN, "-m", *words, *more], tmp_path / "log.txt")
        assert command.process.returncode == 0, command.output
        return {file: file.stat().st_mtime_ns for file in sweep.glob("*/result.json")}

    first = done("hydra.sweeper.n_trials=3")
    # Another seed goes on where the study was: its trials stay, and count for what is suggested.
    words[words.index("hydra.sweeper.sampler.seed=1")] = "hydra.sweeper.sampler.seed=2"
    second = done("hydra.sweeper.n_trials=3")
    assert first.items() <= second.items()
    with closing(sqlite3.connect(tmp_path / "study.db")) as study:
        assert study.execute("select state from trials").fetchall() == [("COMPLETE",)] * 6
    with (sweep / "ledger.csv").open() as file:
        assert 3 < len(list(csv.DictReader(file))) <= 6
    # Without a storage the seed makes the same study again: what is finished is read, and the rest is trained.
    words[-2:] = ["hydra.sweeper.sampler.seed=1"]
    words.remove("hydra.sweeper.sampler.seed=2")
    third = done("hydra.sweeper.n_trials=6")
    assert second.items() <= third.items()


def test_a_launcher_that_does_not_wait_is_refused(tmp_path: Path) -> None:
    words = [*SEARCH, *QUICK, f"run.root={tmp_path / 'logs'}", "hydra/launcher=slurm"]
    command = finished([*TRAIN, "-m", *words], tmp_path / "log.txt")
    assert command.process.returncode == 2, command.output
    assert "error: hydra/launcher: expected one that waits for the objectives" in command.output


def test_the_objective_of_a_failure_is_the_worst_one() -> None:
    assert worst_objective(compose_tree(["hydra/sweeper=optuna"]).hydra.sweeper) == float("inf")
    tree = compose_tree(["hydra/sweeper=optuna", "hydra.sweeper.direction=maximize"])
    assert worst_objective(tree.hydra.sweeper) == -float("inf")
    assert num_jobs(["seed=interval(0,9)"]) > 10**6
