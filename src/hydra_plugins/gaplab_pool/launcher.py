"""``hydra/launcher=pool``: the jobs of a sweep as processes of one machine, each with devices of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gaplab.config.cluster import PoolConfig
from gaplab.errors import ConfigError, Preempted
from gaplab.process.devices import Share, cpu_shares, gpu_shares, own_cpus
from gaplab.process.exits import refuse
from gaplab.process.signals import STOP_SIGNAL, stop_signals_caught
from gaplab.sweeps.frozen_jobs import freeze
from gaplab.sweeps.job import SweepJob, jobs_of_launcher
from gaplab.sweeps.naming import worst_objective

ConfigStore.instance().store(group="hydra/launcher", name="pool", node=PoolConfig, provider="gaplab")


class PoolLauncher(Launcher):
    """Runs as many jobs at a time as there are shares of the machine."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; a stop signal is passed on to those that run, and no more are started."""
        try:
            num_workers = PoolConfig(**self.settings).num_workers
            jobs = jobs_of_launcher(self.config, self.context.config_loader, job_overrides, initial_job_idx)
        except ConfigError as error:
            refuse(error)
        folder = jobs[0].path.parent.resolve() / "pool"
        free = shares(jobs[0], num_workers)
        waiting = list(enumerate(jobs))[::-1]
        running: dict[int, tuple[subprocess.Popen[bytes], Share]] = {}
        passed_on = 0
        with stop_signals_caught():
            while running or (waiting and not STOP_SIGNAL.number):
                while free and waiting and not STOP_SIGNAL.number:
                    number, job = waiting.pop()
                    freeze([job], folder / f"{number}.json")
                    share = free.pop()
                    running[number] = _start(folder, number, share), share
                if STOP_SIGNAL.number != passed_on:
                    passed_on = STOP_SIGNAL.number
                    for process, _ in running.values():
                        process.send_signal(passed_on)
                time.sleep(0.1)
                for number in [n for n, (process, _) in running.items() if process.poll() is not None]:
                    process, share = running.pop(number)
                    free.append(share)
                    print(
                        f"#{number} {jobs[number].path.name}: {_ending(process.returncode, folder, number)}"
                    )
            if STOP_SIGNAL.number:
                raise Preempted(STOP_SIGNAL.number)
        worst = worst_objective(self.config.hydra.sweeper)
        return [_returned(job, words, worst) for job, words in zip(jobs, job_overrides, strict=True)]


def shares(job: SweepJob, number: int | None) -> list[Share]:
    """Cut the machine into parts, one for each job that runs at the same time."""
    gpus = gpu_shares(number, job.composed.config.trainer.accelerator)
    return gpus or cpu_shares(number or max(1, len(own_cpus()) // job.processes_per_node))


def _start(folder: Path, number: int, share: Share) -> "subprocess.Popen[bytes]":
    with (folder / f"{number}.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "gaplab.sweeps.job_main", "--with-parent", str(folder / f"{number}.json")],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C comes from us, once
            env=os.environ | share | {"PYTHONUNBUFFERED": "1"},
        )


def _ending(code: int, folder: Path, number: int) -> str:
    return "finished" if code == 0 else f"ended with exit code {code}; see {folder / f'{number}.txt'}"


def _returned(job: SweepJob, words: Sequence[str], worst: float) -> JobReturn:
    answer = JobReturn(overrides=list(words), status=JobStatus.COMPLETED)
    try:
        answer.return_value = float(json.loads((job.path / "result.json").read_text())["objective"])
    except (OSError, ValueError):
        answer.return_value = worst
    return answer
