"""The batch script that the launcher writes, and the frozen jobs that it submits."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gaplab.config.cluster import SlurmConfig
from gaplab.errors import ConfigError
from gaplab.sweeps.frozen_jobs import freeze, frozen_paths, thaw
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.packing import pack
from gaplab.sweeps.run_job import status
from gaplab.sweeps.slurm import batch_script, submit_sweep
from quick_runs import Compose
from running import TRAIN, finished


def options(script: str) -> dict[str, str]:
    lines = [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_resources_follow_from_the_trainer(quick: Compose, tmp_path: Path) -> None:
    composed = quick(
        "trainer.devices=3", "trainer.num_nodes=2", "trainer.accelerator=gpu", "data.batch_size=30"
    )
    site = SlurmConfig(
        gpus=True, gpu_type="h100", partition="p", account="a", jobs_at_once=5, setup=["module load x"]
    )
    script = batch_script(site, SweepJob(composed, tmp_path), 20, tmp_path)
    found = options(script)
    assert (found["nodes"], found["ntasks-per-node"], found["gres"]) == ("2", "3", "gpu:h100:3")
    assert (found["array"], found["partition"], found["account"]) == ("0-19%5", "p", "a")
    assert (found["time"], found["signal"]) == ("60", "USR1@120")
    assert script.index("module load x") < script.index("srun")


def test_folders_with_spaces_and_a_secret_of_each_job(quick: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "my sweep" / "0"
    script = batch_script(SlurmConfig(), SweepJob(quick("data.batch_size=30"), tmp_path), 1, folder)
    assert options(script)["output"] == f"'{folder}/%a.txt'"
    last = script.splitlines()[-1]
    assert shlex.split(last)[-1] == f"{folder}/$SLURM_ARRAY_TASK_ID.json"
    (export,) = (line for line in script.splitlines() if "GAPLAB_SECRET" in line)
    secrets = [
        subprocess.run(["sh", "-c", f"{export}; echo $GAPLAB_SECRET"], capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert all(re.fullmatch("[0-9a-f]{64}\n", secret) for secret in secrets)
    assert secrets[0] != secrets[1], "a requeued job draws a new one"


def test_a_job_on_the_cpu_asks_for_no_gpu(quick: Compose, tmp_path: Path) -> None:
    composed = quick("data.batch_size=30")
    script = batch_script(SlurmConfig(gpus=True), SweepJob(composed, tmp_path), 1, tmp_path)
    assert "gres" not in options(script)
    assert options(script)["ntasks-per-node"] == "1"


def test_frozen_jobs_are_the_jobs(quick: Compose, tmp_path: Path) -> None:
    words = [
        ["data.batch_size=30"],
        ["data.batch_size=30", "optimizer=sgd", "optimizer.lr=0.03"],
        ["data.batch_size=30", "seed=3", "optimizer.schedule=cosine", "optimizer.max_grad_norm=1"],
        ["data.batch_size=null", "network.widths=[3,4]", "trainer.precision=64-true"],
    ]
    jobs = [SweepJob(quick(*more), tmp_path / str(number)) for number, more in enumerate(words)]
    file = tmp_path / "jobs" / "0.json"
    for job in jobs:
        job.composed.varied = ["seed"]
    freeze(jobs, file)
    assert thaw(file) == jobs
    assert status(jobs[0].path) is None
    file.write_text("{}")
    with pytest.raises(ConfigError, match="jobs that a launcher has frozen"):
        thaw(file)


def test_tasks_of_stacked_models_keep_groups_together(quick: Compose, tmp_path: Path) -> None:
    widths = [4, 8, 4, 4, 8, 16, 4, 4]
    jobs = [
        SweepJob(quick(f"network.widths=[{width}]", f"seed={number}"), tmp_path / str(number))
        for number, width in enumerate(widths)
    ]

    def numbers(tasks: list[list[SweepJob]]) -> list[list[int]]:
        return [[int(job.path.name) for job in task] for task in tasks]

    assert numbers(pack(jobs, 3, by_group=True)) == [[0, 2, 3], [6, 7, 5], [1, 4]]
    assert numbers(pack(jobs, 3, by_group=False)) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert SlurmConfig().most_jobs_per_task == 1
    assert SlurmConfig(vectorized=True).most_jobs_per_task == 256
    assert SlurmConfig(vectorized=True, jobs_per_task=9).most_jobs_per_task == 9


def test_dry_run_prints_the_script_and_writes_nothing(tmp_path: Path) -> None:
    words = ["seed=range(0,3)", f"run.root={tmp_path / 'logs'}", "hydra/launcher=slurm", "cluster=example"]
    command = finished([*TRAIN, "-m", *words, "hydra.launcher.dry_run=true"], tmp_path / "log.txt")
    assert command.process.returncode == 0, command.output
    assert options(command.output)["array"] == "0-2"
    assert options(command.output)["partition"] == "gpu"
    assert not list(tmp_path.glob("logs/*/slurm"))


def test_mistakes_end_with_a_sentence_before_anything_is_submitted(tmp_path: Path) -> None:
    words = ["seed=1,2", f"run.root={tmp_path / 'logs'}", "hydra/launcher=slurm"]
    wrong = finished([*TRAIN, "-m", *words, "trainer.devices=0"], tmp_path / "wrong.txt")
    assert wrong.process.returncode == 2
    assert "error: job 0 (" in wrong.output
    assert "): trainer.devices: expected a whole number of at least 1" in wrong.output
    missing = finished([*TRAIN, "-m", *words], tmp_path / "missing.txt", {"PATH": "/nowhere"})
    assert missing.process.returncode == 2
    assert "expected the command sbatch" in missing.output


def commands(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Put shell scripts in the place of SLURM's commands."""
    for name, script in scripts.items():
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)


def test_jobs_in_the_queue_are_not_submitted_again(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    squeue = '[ "$3" = "--jobs=7" ] && [ "$4" = "--format=%K" ] && printf "0\\n2\\n"'
    commands(tmp_path, monkeypatch, sbatch="echo '7;cluster'", squeue=squeue)
    jobs = [SweepJob(quick(f"seed={seed}"), tmp_path / "sweep" / f"seed={seed}") for seed in range(4)]
    submit_sweep(SlurmConfig(), jobs[:3])
    submit_sweep(SlurmConfig(), jobs)
    assert "2 of 4 jobs are in SLURM's queue already; they are left alone." in capsys.readouterr().out
    again = [
        path for file in sorted((tmp_path / "sweep/slurm/1").glob("*.json")) for path in frozen_paths(file)
    ]
    assert again == [jobs[1].path, jobs[3].path]
    commands(
        tmp_path, monkeypatch, squeue="echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
    )
    submit_sweep(SlurmConfig(), jobs)
    assert "Submitted 4 jobs" in capsys.readouterr().out, "an array that is over holds nothing back"


def test_more_tasks_than_slurm_takes_in_an_array_are_several_arrays(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands(
        tmp_path,
        monkeypatch,
        sbatch="echo 7",
        scontrol="printf 'MaxArraySize            = 2\\nMaxJobCount = 9\\n'",
    )
    jobs = [SweepJob(quick(f"seed={seed}"), tmp_path / "sweep" / f"seed={seed}") for seed in range(5)]
    submit_sweep(SlurmConfig(), jobs)
    assert (
        "SLURM takes arrays of at most 2 tasks here; 5 tasks are several arrays." in capsys.readouterr().out
    )
    folders = [tmp_path / "sweep" / "slurm" / name for name in "012"]
    assert [options((folder / "batch.sh").read_text())["array"] for folder in folders] == [
        "0-1",
        "0-1",
        "0-0",
    ]
    frozen = [
        path for folder in folders for file in sorted(folder.glob("*.json")) for path in frozen_paths(file)
    ]
    assert frozen == [job.path for job in jobs]


def test_a_second_submission_leaves_the_first_alone(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 7\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    sweep = tmp_path / "a sweep"
    jobs = [SweepJob(quick(f"seed={seed}"), sweep / f"seed={seed}") for seed in range(3)]
    submit_sweep(SlurmConfig(), jobs)
    assert f"Follow: tail -F '{sweep}/slurm/0'/*.txt" in capsys.readouterr().out
    assert options((sweep / "slurm" / "0" / "batch.sh").read_text())["output"] == f"'{sweep}/slurm/0/%a.txt'"
    before = {file: file.read_bytes() for file in (sweep / "slurm" / "0").iterdir()}
    for job, state in zip(jobs[:2], ("finished", "running"), strict=True):
        job.path.mkdir()
        (job.path / "run.json").write_text(json.dumps({"status": state}))
    script = (
        "import sys, pathlib; from gaplab.storage.locking import lock;"
        "lock(pathlib.Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(jobs[1].path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        submit_sweep(SlurmConfig(), jobs)
        other.kill()
    said = capsys.readouterr().out
    assert "1 of 3 jobs are finished already." in said
    assert "1 of 3 jobs are at work; they are left alone." in said
    assert "Submitted 1 jobs as 7_[0-0]" in said
    assert [job.path for job in thaw(sweep / "slurm" / "1" / "0.json")] == [jobs[2].path]
    assert {file: file.read_bytes() for file in (sweep / "slurm" / "0").iterdir()} == before
