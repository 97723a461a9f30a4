"""Submitted for real: plain sbatch and srun, arrays from the launcher, requeue after a warning, mistakes."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from slurm import Slurm, wait_until

from gaplab.config.compose import compose_config
from gaplab.runs.resume import plan_new
from gaplab.sweeps.frozen_jobs import thaw
from gaplab.sweeps.train_work import run_many
from gaplab.train import run_one
from quick_runs import set_once
from running import PROJECT, TRAIN, finished, points

pytestmark = [pytest.mark.cluster, pytest.mark.thorough]

SMALL = (
    "data.num_points=103",
    "data.batch_size=25",
    "network.widths=[16]",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT / "src")}


def submit(slurm: Slurm, folder: Path, *options: str, script: str) -> str:
    """Submit a batch script and return the job's number."""
    file = folder / "batch.sh"
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in ENVIRONMENT.items())
    file.write_text(f"#!/bin/bash\n{exports}\n{script}\n")
    job = slurm.ask(
        "sbatch", "--parsable", f"--output={folder}/out.txt", f"--chdir={folder}", *options, str(file)
    )
    assert job.isdigit(), job
    return job


def wait_for(slurm: Slurm, job: str, log: Path, *, state: str = "COMPLETED", seconds: float = 600) -> None:
    try:
        wait_until(lambda: slurm.state(job) == state, seconds)
    except AssertionError:
        text = log.read_text() if log.exists() else "no log"
        raise AssertionError(f"job {job} is {slurm.state(job)}; {text}") from None


def check_equal_runs(run: Path, alone: Path) -> None:
    """Compare what two nodes computed with what one process does; the order of sums differs in the last digits."""
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    found, expected = (json.loads((path / "result.json").read_text())["last"] for path in (run, alone))
    assert found == pytest.approx(expected, abs=1e-8)
    files = [torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (run, alone)]
    torch.testing.assert_close(files[0]["state_dict"], files[1]["state_dict"], rtol=0, atol=1e-8)


TWO_NODES = (
    *set_once(*SMALL, "trainer.max_steps=60"),
    "trainer.precision=64-true",
    "data.num_test_points=1000",
)


def test_srun_on_two_nodes_makes_the_run_of_one_process(slurm: Slurm, tmp_path: Path) -> None:
    words = [*TWO_NODES, f"run.root={tmp_path / 'logs'}"]
    script = f"srun {shlex.join([*TRAIN, *words])}"
    job = submit(slurm, tmp_path, "--nodes=2", "--ntasks-per-node=1", script=script)
    wait_for(slurm, job, tmp_path / "out.txt")
    (run,) = (tmp_path / "logs" / "default").iterdir()
    assert run.name.startswith(f"slurm-{job}-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batch.sh", "logs", "out.txt"]
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["default"], "no secret is left"
    run_one(compose_config(words), tmp_path / "alone")
    check_equal_runs(run, tmp_path / "alone")


def test_a_sweep_of_runs_on_two_nodes(slurm: Slurm, tmp_path: Path) -> None:
    """The batch script gives every task its secret; both runs of an array task meet once."""
    words = [
        *TWO_NODES,
        "seed=0,1",
        "trainer.num_nodes=2",
        "trainer.devices=1",
        f"run.root={tmp_path / 'logs'}",
    ]
    launch = ["hydra/launcher=slurm", "hydra.launcher.jobs_per_task=2"]
    array, sweep = submitted_array(slurm, tmp_path, *words, *launch)
    wait_for(slurm, f"{array}_0", sweep / "slurm" / "0" / "0.txt")
    assert [path.name for path in sweep.parent.iterdir()] == [sweep.name], "the secret was in the environment"
    for job in thaw(sweep / "slurm" / "0" / "0.json"):
        job.composed.config.trainer.num_nodes = 1
        run_one(job.composed, tmp_path / job.path.name)
        check_equal_runs(job.path, tmp_path / job.path.name)


def submitted_array(slurm: Slurm, folder: Path, *words: str) -> tuple[str, Path]:
    """Submit a sweep with the launcher; return the array's number and the folder of the sweep."""
    command = finished([*TRAIN, "-m", *words], folder / "submit.txt", slurm.environment | ENVIRONMENT)
    assert command.process.returncode == 0, command.output
    (sweep,) = (folder / "logs").iterdir()
    return command.output.split(" jobs as ")[1].split("_")[0], sweep


def warn(slurm: Slurm, task: str, reached: Callable[[], object]) -> None:
    """Send the signal of a time limit as soon as the task has come far enough; wait until it is requeued.

    What SLURM says counts: it may end srun before the task's last words are in the log.
    """
    wait_until(reached, seconds=120, every=0.01)
    slurm.ask("scancel", "--signal=USR1", task)
    wait_until(lambda: slurm.restarts(task) or slurm.state(task) == "COMPLETED", seconds=120)
    assert slurm.restarts(task) == 1, "it ended before the signal came"


def test_array_survives_a_warning_and_ends_with_the_undisturbed_numbers(slurm: Slurm, tmp_path: Path) -> None:
    words = [
        *SMALL,
        "seed=0,1",
        "trainer.max_steps=8000",
        "trainer.eval_every_n_steps=2000",
        "trainer.checkpoint_every_n_seconds=0.1",
        "hydra/launcher=slurm",
        f"run.root={tmp_path / 'logs'}",
    ]
    array, sweep = submitted_array(slurm, tmp_path, *words)
    warned = sweep / "seed=1"
    warn(slurm, f"{array}_1", (warned / "checkpoints" / "last.ckpt").is_file)
    for task in (0, 1):
        wait_for(slurm, f"{array}_{task}", sweep / "slurm" / "0" / f"{task}.txt")
    assert json.loads((warned / "run.json").read_text())["status"] == "finished"
    (job,) = thaw(sweep / "slurm" / "0" / "1.json")
    run_one(job.composed, tmp_path / "undisturbed")
    assert json.loads((warned / "result.json").read_text()) == json.loads(
        (tmp_path / "undisturbed" / "result.json").read_text()
    )
    assert points(warned) == points(tmp_path / "undisturbed")
    again = finished([*TRAIN, "-m", *words], tmp_path / "again.txt", slurm.environment | ENVIRONMENT)
    assert "2 of 2 jobs are finished already" in again.output


def test_array_of_stacked_models_survives_a_warning(slurm: Slurm, tmp_path: Path) -> None:
    words = [
        *(word for word in SMALL if not word.startswith("network.widths")),
        "seed=0,1",
        "network.widths=[16],[9]",
        "trainer.max_steps=4000",
        "trainer.eval_every_n_steps=2000",
        "trainer.precision=64-true",
        "trainer.checkpoint_every_n_seconds=0.1",
        "hydra/launcher=slurm",
        "hydra.launcher.vectorized=true",
        "hydra.launcher.jobs_per_task=2",
        f"run.root={tmp_path / 'logs'}",
    ]
    array, sweep = submitted_array(slurm, tmp_path, *words)
    tasks = [thaw(sweep / "slurm" / "0" / f"{task}.json") for task in (0, 1)]
    assert [[job.composed.config.network.widths for job in task] for task in tasks] == [
        [[16], [16]],
        [[9], [9]],
    ]
    warned = [job.path for job in tasks[1]]
    warn(slurm, f"{array}_1", lambda: all((run / "checkpoints" / "last.ckpt").is_file() for run in warned))
    for task in (0, 1):
        wait_for(slurm, f"{array}_{task}", sweep / "slurm" / "0" / f"{task}.txt")
    together = run_many([plan_new(job.composed, tmp_path / job.path.name) for job in tasks[1]], compile=False)
    for job, objective in zip(tasks[1], together, strict=True):
        record = json.loads((job.path / "run.json").read_text())
        assert (record["status"], record["trained_beside"]) == ("finished", 1)
        result = json.loads((job.path / "result.json").read_text())
        assert result == json.loads((tmp_path / job.path.name / "result.json").read_text())
        assert result["objective"] == objective
        assert points(job.path) == points(tmp_path / job.path.name)


def test_forgotten_srun_and_disagreeing_numbers_stop_with_a_sentence(slurm: Slurm, tmp_path: Path) -> None:
    train = shlex.join([*TRAIN, *SMALL])
    script = f"{train}\necho $?\nsrun {train} trainer.devices=3\nexit 0"
    job = submit(slurm, tmp_path, "--nodes=1", "--ntasks=2", script=script)
    wait_for(slurm, job, tmp_path / "out.txt")
    output = (tmp_path / "out.txt").read_text()
    assert "Write srun before python" in output
    assert "\n2\n" in output, "the exit code of a mistake"
    assert output.count("trainer.devices: expected the 2 that srun started, but got 3.") == 1
    assert not (tmp_path / "logs").exists()


def test_one_task_may_start_its_own_processes(slurm: Slurm, tmp_path: Path) -> None:
    """As after ``salloc``: one task, and ``trainer.devices=2``."""
    train = shlex.join(
        [sys.executable, TRAIN[1], *set_once(*SMALL, "trainer.max_steps=20"), "trainer.devices=2"]
    )
    script = f"srun {train} run.root={tmp_path / 'logs'}"
    job = submit(slurm, tmp_path, "--ntasks=1", "--cpus-per-task=2", script=script)
    wait_for(slurm, job, tmp_path / "out.txt")
    assert len(list((tmp_path / "logs" / "default").iterdir())) == 1
