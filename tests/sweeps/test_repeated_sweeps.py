"""A sweep that is typed again, after its values, its settings or the code have changed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gaplab.config.logging import SubRuns
from gaplab.runs import anew
from gaplab.storage.locking import alone
from gaplab.sweeps import run_job
from gaplab.sweeps.job import LAUNCHED, SweepJob

Main = Callable[..., int]


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., str]:
    """Write an experiment that is a sweep; return the flag that makes it known."""

    def write(params: dict[str, str], **settings: Any) -> str:
        file = tmp_path / "x" / "experiment" / "mine.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        content = yaml.safe_dump(settings | {"hydra": {"sweeper": {"params": params}}})
        file.write_text(f"# @package _global_\n{content}")
        return f"--config-dir={tmp_path / 'x'}"

    return write


def ledger(sweep: Path) -> list[tuple[str, str]]:
    with (sweep / "ledger.csv").open() as file:
        return [(row["run"], row["status"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("launcher", [pytest.param("basic", marks=pytest.mark.thorough), "vectorized"])
def test_an_edited_sweep_shows_no_old_numbers(
    main: Main,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    experiment: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    launcher: str,
) -> None:
    words = ("-m", "experiment=mine", f"hydra/launcher={launcher}")
    assert main(*words, experiment({"seed": "4,5"}, data={"noise": 0.1})) == 0
    (sweep,) = (tmp_path / "logs").iterdir()
    old = (sweep / "seed=4" / "result.json").read_bytes()
    # Other settings of the same jobs: nothing begins.
    flag = experiment({"seed": "4,5"}, data={"noise": 0.3})
    assert main(*words, flag) == 2
    said = capsys.readouterr().err
    assert "holds a run of another configuration; they differ in data.noise (0.1 there, 0.3 here)" in said
    assert "Traceback" not in said
    assert (sweep / "seed=4" / "result.json").read_bytes() == old
    # Anew: nothing is lost, and the old runs are not counted.
    assert main(*words, flag, "run.again=true") == 0
    assert [path.name for path in (tmp_path / "logs").iterdir()] == [sweep.name]
    assert (sweep / "earlier" / "seed=4-1" / "result.json").read_bytes() == old
    assert (sweep / "seed=4" / "result.json").read_bytes() != old
    assert ledger(sweep) == [("seed=4", "finished"), ("seed=5", "finished")]
    saved = yaml.safe_load((sweep / "seed=4" / "config.yaml").read_text())
    assert saved["run"]["again"] is False, "a run that is requeued goes on"
    assert not any(
        "again" in word for word in yaml.safe_load((sweep / "seed=4" / "overrides.yaml").read_text())
    )
    # Other values: the jobs of before stay, and are not counted.
    capsys.readouterr()
    assert main(*words, experiment({"seed": "5,6"}, data={"noise": 0.3})) == 0
    said = capsys.readouterr().out
    assert (
        f"1 runs in {sweep} are of other settings than this sweep's; they stay, and are not counted." in said
    )
    assert "2 of 2 runs finished" in said
    assert ledger(sweep) == [("seed=5", "finished"), ("seed=6", "finished")]
    # Other code: the sweep says so.
    here = json.loads((sweep / "seed=5" / "run.json").read_text())["git"]
    monkeypatch.setattr(anew, "git_state", lambda folder: {"commit": "f" * 40, "dirty": False})
    assert main(*words, f"--config-dir={tmp_path / 'x'}") == 0
    if here is not None:
        expected = (
            f"2 of 2 were made by commit {here['commit'][:10]}; the code is at ffffffffff now. run.again=true"
        )
        assert expected in capsys.readouterr().out


def test_one_run_is_done_anew(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main("run.id=mine") == 0
    run = tmp_path / "logs" / "default" / "mine"
    old = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    (run / "note.txt").write_text("keep me")
    assert main("run.id=mine", "data.noise=0.7") == 2
    assert "run anew and keep both with run.again=true" in capsys.readouterr().err
    for number in (1, 2):
        assert main("run.id=mine", "data.noise=0.7", "run.again=true") == 0
        aside = run.parent / "earlier" / f"mine-{number}"
        assert f"What was in {run} is in {aside} now." in capsys.readouterr().out
    kept = run.parent / "earlier" / "mine-1"
    assert (kept / "note.txt").read_text() == "keep me"
    assert {name: (kept / name).read_bytes() for name in old} == old
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert main("run.id=mine", "data.noise=0.7", "run.again=true") == 0
    assert f"Already finished: {run}" in capsys.readouterr().out, (
        "a job that is requeued goes on with its own run"
    )
    assert main("resume=x", "run.again=true") == 2


@pytest.mark.parametrize("number", [10, 11])
def test_sub_runs_of_a_large_sweep_that_an_experiment_defines(
    main: Main, experiment: Callable[..., str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    seen: list[SweepJob] = []
    monkeypatch.setattr(run_job, "run_in_turn", lambda jobs: seen.extend(jobs) or [0.0] * len(jobs))
    main("-m", experiment({"seed": f"range(0,{number})"}), "experiment=mine")
    subruns = {job.composed.config.logging.subruns for job in seen}
    assert len(seen) == number
    assert subruns == {SubRuns.auto if number == 10 else SubRuns.never}


def test_a_wrong_value_under_the_vectorized_launcher(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("-m", "hydra/launcher=vectorized", "optimizer.lr=0.1,fast") == 2
    assert "optimizer.lr: expected a number, but got 'fast'" in capsys.readouterr().err
    assert main("-m", "hydra/launcher=vectorized", "seed=0,1", "optimizer.lrr=3") == 2
    assert "optimizer.lrr: expected a key" in capsys.readouterr().err
    assert LAUNCHED == []


def test_nothing_is_moved_while_one_of_the_runs_is_at_work(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("-m", "seed=0,1", "hydra/launcher=vectorized") == 0
    (sweep,) = (tmp_path / "logs").iterdir()
    with alone(sweep / "seed=1" / ".lock"):
        assert main("-m", "seed=0,1", "hydra/launcher=vectorized", "run.again=true") == 2
    assert f"{sweep / 'seed=1'}: a run is at work in this directory" in capsys.readouterr().err
    assert not (sweep / "earlier").exists()


def test_a_folder_that_cannot_be_written(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for launcher in ("basic", "pool", "vectorized"):
        assert main("-m", "seed=0,1", f"run.root={tmp_path / 'file'}", f"hydra/launcher={launcher}") == 2
        assert (
            f"error: run.root: expected a folder that can be written, but {tmp_path}"
            in capsys.readouterr().err
        )


def test_a_phenomenon_that_has_a_verdict_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gaplab.reports.sweep_report import report_sweep
    from gaplab.runs.results import read_objective
    from left_runs import leave_run

    for seed in (0, 1):
        leave_run(tmp_path / f"seed={seed}", [f"seed={seed}"], None)
        (tmp_path / f"seed={seed}" / "verdict.json").write_text(json.dumps({"unmet": seed}))
    report_sweep(tmp_path)
    assert "2 of 2 runs finished" in capsys.readouterr().out
    assert read_objective(tmp_path / "seed=1") == 1.0
