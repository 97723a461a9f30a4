"""``hydra/launcher=slurm``: one array job for a sweep, each task with its own frozen configuration."""

import shutil
import subprocess
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gaplab.config.cluster import SlurmConfig
from gaplab.errors import ConfigError
from gaplab.process.exits import refuse
from gaplab.sweeps.frozen_jobs import freeze
from gaplab.sweeps.job import SweepJob, is_finished, jobs_of_launcher
from hydra_plugins.gaplab_slurm.packing import pack
from hydra_plugins.gaplab_slurm.script import batch_script

ConfigStore.instance().store(group="hydra/launcher", name="slurm", node=SlurmConfig, provider="gaplab")


class SlurmLauncher(Launcher):
    """Submits jobs and returns at once; the same command later submits what is not finished."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit an array for each shape of jobs (nodes and processes)."""
        try:
            site = SlurmConfig(**self.settings)
            if "direction" in self.config.hydra.sweeper:
                raise ConfigError(
                    "hydra/launcher: expected one that waits for the objectives which this sweeper needs, but "
                    "got slurm, which only submits. Use vectorized or pool inside one job."
                )
            jobs = jobs_of_launcher(self.config, self.context.config_loader, job_overrides, initial_job_idx)
            waiting = [job for job in jobs if not is_finished(job)]
            if len(waiting) < len(jobs):
                print(f"{len(jobs) - len(waiting)} of {len(jobs)} jobs are finished already.")
            for number, (_, group) in enumerate(groupby(sorted(waiting, key=_shape), key=_shape)):
                submit(site, list(group), jobs[0].path.parent.resolve() / "slurm" / str(number))
        except ConfigError as error:
            refuse(error)
        return []


def submit(site: SlurmConfig, jobs: list[SweepJob], folder: Path) -> None:
    """Freeze the jobs in ``folder`` and submit them as one array.

    Raises:
        ConfigError: If there is no SLURM, or it refuses.
    """
    tasks = pack(jobs, site.most_jobs_per_task, by_group=site.vectorized)
    script = batch_script(site, jobs[0], len(tasks), folder)
    if site.dry_run:
        print(script)
        return
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "hydra/launcher=slurm: expected the command sbatch, but this machine has none. Start from a "
            "login node, or look at the script with hydra.launcher.dry_run=true."
        )
    for number, task in enumerate(tasks):
        freeze(task, folder / f"{number}.json")
    (folder / "batch.sh").write_text(script)
    answer = subprocess.run(
        ["sbatch", "--parsable", str(folder / "batch.sh")], capture_output=True, text=True
    )
    if answer.returncode:
        raise ConfigError(
            f"hydra/launcher=slurm: sbatch refuses {folder / 'batch.sh'}: {answer.stderr.strip()}"
        )
    array = answer.stdout.strip().split(";")[0]
    print(f"Submitted {len(jobs)} jobs as {array}_[0-{len(tasks) - 1}]; scancel {array} ends them.")
    if site.vectorized:
        print(f"Each task trains up to {max(map(len, tasks))} of them as stacked models.")
    print(f"Follow: tail -F {folder}/*.txt")
    print(f"Runs: {jobs[0].path.parent}")


def _shape(job: SweepJob) -> tuple[int, int, str]:
    return job.num_nodes, job.processes_per_node, job.composed.config.trainer.accelerator
