"""A sweep on one machine: as many processes as there are parts of it."""

import json
from pathlib import Path

import pytest

from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.run_sweep import pool_shares
from quick_runs import QUICK, Compose
from running import TRAIN, finished


def test_every_job_has_processors_of_its_own(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3, 4, 5})
    job = SweepJob(quick("data.batch_size=30", "trainer.devices=2"), tmp_path)
    assert sorted(share["GAPLAB_CPUS"] for share in pool_shares(job, None)) == ["0,3", "1,4", "2,5"]
    assert [share["GAPLAB_CPUS"] for share in pool_shares(job, 1)] == ["0,1,2,3,4,5"]
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {7})
    assert [share["GAPLAB_CPUS"] for share in pool_shares(job, 2)] == ["7", "7"]


def test_every_job_has_a_gpu_of_its_own(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gaplab.process.devices.may_have_gpu", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,6")
    job = SweepJob(quick("data.batch_size=30", "trainer.accelerator=gpu"), tmp_path)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in pool_shares(job, None)] == ["2", "5", "6"]
    assert [share["CUDA_VISIBLE_DEVICES"] for share in pool_shares(job, 8)] == ["2", "5", "6"]


def test_sweep_in_a_pool_finishes_what_can_be_finished(tmp_path: Path) -> None:
    words = [*QUICK, "optimizer=sgd", "optimizer.lr=0.1,1e30", f"run.root={tmp_path}"]
    command = finished([*TRAIN, "-m", *words, "hydra/launcher=pool"], tmp_path / "log.txt")
    assert command.process.returncode == 0, command.output
    (sweep,) = tmp_path.glob("sweep-*")
    runs = {path.name: json.loads((path / "run.json").read_text())["status"] for path in sweep.glob("lr=*")}
    assert runs == {"lr=0.1": "finished", "lr=1e+30": "diverged"}
    assert "#0 lr=0.1: finished" in command.output
    assert f"#1 lr=1e+30: diverged; see {sweep / 'pool' / '1.txt'}" in command.output
    assert "1 of 2 runs finished" in command.output
    assert f"Run: {sweep / 'lr=0.1'}" in (sweep / "pool" / "0.txt").read_text()
    assert "Diverged: " in (sweep / "pool" / "1.txt").read_text()
    assert "Diverged: " not in command.output
