"""How sweeps begin and end: mistakes stop them before anything is written, failures show in the exit code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gaplab.sweeps.job import LAUNCHED
from gaplab.sweeps.run_job import exit_code, status
from quick_runs import QUICK, set_once
from running import TRAIN, finished

Main = Callable[..., int]


MISTAKES = {
    "network.widths=[8],[8,-1]": "network.widths: expected a whole number of at least 1, but got -1",
    "network=mlp,nope": "network: expected one of ",
    "seed=0,nan": "seed: expected a whole number, but got 'nan'",
    "seed=range(0,0)": "error: The sweep has no jobs",
    "hydra.launcher.nope=0": "hydra.launcher.nope: expected a key of ",
}


def full_size(launcher: str, word: str) -> bool:
    """Whether the fast suite has the same mistake under another launcher, and this launcher with another mistake."""
    return launcher in ("pool", "slurm") and word not in ("network.widths=[8],[8,-1]", "seed=range(0,0)")


@pytest.mark.parametrize(
    ("launcher", "word"),
    [
        pytest.param(launcher, word, marks=[pytest.mark.thorough] if full_size(launcher, word) else [])
        for launcher in ("basic", "vectorized", "pool", "slurm")
        for word in MISTAKES
    ],
)
def test_a_mistake_in_any_job_stops_a_sweep_before_it_writes(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], launcher: str, word: str
) -> None:
    assert main("-m", f"hydra/launcher={launcher}", word) == 2
    captured = capsys.readouterr()
    assert MISTAKES[word] in captured.err
    of_a_job = word not in ("seed=range(0,0)", "hydra.launcher.nope=0")
    assert captured.err.startswith("error: job 1 (" if of_a_job else "error: ")
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_batches_of_a_grid_are_checked_before_the_first_trains(main: Main, tmp_path: Path) -> None:
    assert main("-m", "seed=0,1,-1", "hydra.sweeper.max_batch_size=1") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_job_that_fails_before_its_folder_opens_counts(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("-m", "trainer.accelerator=gpu,cpu") == 1
    captured = capsys.readouterr()
    assert "accelerator=gpu: error: trainer.accelerator, trainer.devices: expected what" in captured.err
    assert "1 of 2 runs finished" in captured.out
    assert "Not finished: accelerator=gpu: failed" in captured.out
    (sweep,) = (tmp_path / "logs").iterdir()
    record = json.loads((sweep / "accelerator=gpu" / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["error"].startswith("ConfigError: trainer.accelerator, trainer.devices: ")
    assert status(sweep / "accelerator=cpu") == "finished"
    assert main("-m", "trainer.accelerator=gpu,cpu") == 1, "the same command tries it again"
    assert "Already finished: " in capsys.readouterr().out


@pytest.mark.parametrize("launcher", ["basic", "vectorized"])
def test_a_sweep_that_only_diverges_fails(main: Main, launcher: str) -> None:
    lr = "optimizer.lr=1e30,1e31"
    assert main("-m", f"hydra/launcher={launcher}", "optimizer=sgd", lr, "network.widths=[8,8]") == 1
    assert [status(run) for run in LAUNCHED] == ["diverged", "diverged"]


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 0),
        (["finished"], 0),
        (["finished", "diverged"], 0),
        (["diverged"], 1),
        (["finished", "failed"], 1),
        (["finished", "running"], 1),
        (["finished", None], 1),
    ],
)
def test_exit_code_follows_the_statuses(tmp_path: Path, statuses: list[str | None], code: int) -> None:
    runs = [tmp_path / str(number) for number in range(len(statuses))]
    for run, one in zip(runs, statuses, strict=True):
        run.mkdir()
        if one is not None:
            (run / "run.json").write_text(json.dumps({"status": one}))
    assert exit_code(runs) == code


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=range(0,1000000000)", "-m: expected at most 1_000_000 runs, but got 1_000_000_000"),
        ("seed=range(0,2,0)", "range: expected a step other than 0"),
        ("optimizer=[0],adam", "optimizer=[0]): expected key=value as Hydra takes it"),
    ],
)
def test_a_sweep_without_an_end_is_refused_at_once(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    assert main("-m", word) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_that_is_a_sweep_needs_m(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x" / "experiment").mkdir(parents=True)
    file = tmp_path / "x" / "experiment" / "mine.yaml"
    file.write_text("# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: 4,5\n")
    assert main(f"--config-dir={tmp_path / 'x'}", "experiment=mine") == 2
    assert main(f"hydra.searchpath=[{tmp_path / 'x'}]", "experiment=mine") == 2
    assert (
        capsys.readouterr().err.count("error: experiment: expected -m beside it, as it is a sweep over seed")
        == 2
    )
    assert not (tmp_path / "logs").exists()
    assert main("-m", "--config-dir", str(tmp_path / "x"), "experiment=mine") == 0
    assert sorted(run.name for run in LAUNCHED) == ["seed=4", "seed=5"]


def test_one_run_with_flags_of_hydra(main: Main, tmp_path: Path) -> None:
    (tmp_path / "x" / "experiment").mkdir(parents=True)
    (tmp_path / "x" / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    assert main("--run", "--config-name=config", f"--config-dir={tmp_path / 'x'}", "experiment=mine") == 0
    (run,) = (tmp_path / "logs" / "mine").iterdir()
    assert json.loads((run / "run.json").read_text())["seeds"] == {"data": 7, "init": 7, "train": 7}


def test_the_module_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gaplab.cli", "--cfg", "job", "--package", "data", "data.noise=0.125"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "noise: 0.125" in answer.stdout
    wrong = subprocess.run([*command[:3], "nope=1"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.thorough
def test_a_pool_goes_on_with_a_fresh_process_after_a_failure(tmp_path: Path) -> None:
    words = set_once(*QUICK, f"run.root={tmp_path / 'logs'}")
    words = [word for word in words if not word.startswith("trainer.accelerator=")]
    words += ["trainer.accelerator=gpu,cpu", "hydra/launcher=pool", "hydra.launcher.num_workers=1"]
    command = finished([*TRAIN, "-m", *words], tmp_path / "log.txt")
    assert command.process.returncode == 1, command.output
    (sweep,) = (tmp_path / "logs").iterdir()
    assert f"#0 accelerator=gpu: failed; see {sweep / 'pool' / '0.txt'}" in command.output
    assert "#1 accelerator=cpu: finished" in command.output
    assert "expected what this machine has" in (sweep / "pool" / "0.txt").read_text()
    assert "1 of 2 runs finished" in command.output
