"""srun, played by the test: tasks meet with a secret that nobody else has; a real SLURM is in ``cluster/``."""

from pathlib import Path

import pytest
from torch.distributed import TCPStore

from quick_runs import QUICK, set_once
from running import TRAIN, finished, running

pytestmark = pytest.mark.ddp

SRUN = {
    "SLURM_JOB_ID": "41",
    "SLURM_JOB_NAME": "night",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2",
    "SLURM_NODEID": "0",
}


def task(rank: int, port: int, **more: str) -> dict[str, str]:
    """What srun says to a task."""
    return SRUN | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "MASTER_PORT": str(port)} | more


def test_tasks_of_srun_meet_and_another_secret_is_refused(tmp_path: Path, free_port: int) -> None:
    words = [
        *TRAIN,
        *set_once(*QUICK, "trainer.max_steps=20"),
        f"run.root={tmp_path / 'logs'}",
        "run.id=srun",
    ]
    with (
        running(words, tmp_path / "0.txt", task(0, free_port, GAPLAB_SECRET="a" * 32)),
        running(words, tmp_path / "1.txt", task(1, free_port, GAPLAB_SECRET="b" * 32)) as other,
    ):
        assert other.finish() == 2, other.output
    assert other.output.count("error: process 1: expected to meet process 0 of this run at 127.0.0.1:") == 1
    assert "Traceback" not in other.output
    assert not (tmp_path / "logs").exists()
    with (
        running(words, tmp_path / "0.txt", task(0, free_port)) as first,
        running(words, tmp_path / "1.txt", task(1, free_port)) as second,
    ):
        assert first.finish() == 0, first.output
        assert second.finish() == 0, second.output
    own = finished([*set_once(*words, "run.id=own"), "trainer.devices=2"], tmp_path / "own.txt")
    assert own.process.returncode == 0, own.output
    results = [(tmp_path / "logs" / "default" / name / "result.json").read_text() for name in ("srun", "own")]
    assert results[0] == results[1]
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["default"], "no secret is left"


def test_whoever_takes_the_port_plants_no_plan(tmp_path: Path, free_port: int) -> None:
    squatter = TCPStore("127.0.0.1", free_port, 2, is_master=True, wait_for_workers=False)
    squatter.set("proof", "0" * 64)
    for secret in ({}, {"GAPLAB_SECRET": "a" * 32}):
        words = [*TRAIN, *QUICK, f"run.root={tmp_path / 'logs'}", "trainer.rendezvous_seconds=1"]
        command = finished(words, tmp_path / "1.txt", task(1, free_port, **secret))
        assert command.process.returncode == 2, command.output
        assert "Traceback" not in command.output
    assert "process 1: expected the run's secret in" in command.output
    assert (
        "who is there does not know the run's secret. Give all processes the same GAPLAB_SECRET"
        in command.output
    )
    assert not (tmp_path / "logs").exists()
