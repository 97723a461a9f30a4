"""``hydra/launcher=basic|pool|vectorized|slurm``: all jobs are composed and checked; ``gaplab.sweeps`` does them."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gaplab.config.cluster import PoolConfig, SlurmConfig, VectorizedConfig
from gaplab.config.hydra_versions import offer
from gaplab.config.ignored import refuse_ignored
from gaplab.config.projects import reads_configs_of_gaplab
from gaplab.errors import ConfigError
from gaplab.sweeps.folder import prepare_folder
from gaplab.sweeps.job import LAUNCHED, SweepJob, is_grid, jobs_of_launcher
from gaplab.sweeps.naming import worst_objective


@dataclass
class BasicConfig:
    """Takes the place of Hydra's own basic launcher, which has no keys either."""

    _target_: str = "hydra_plugins.gaplab_sweeps.launchers.BasicLauncher"


LAUNCHERS = {"basic": BasicConfig, "pool": PoolConfig, "vectorized": VectorizedConfig, "slurm": SlurmConfig}
for _name, _node in LAUNCHERS.items():
    offer(_name, _node, "hydra/launcher")


class SweepLauncher(Launcher):
    """What all launchers have in common: a mistake in any job stops the sweep before the first one starts."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Do all jobs; return their objectives, the worst one for those that failed or diverged."""
        jobs = self.checked_jobs(job_overrides, initial_job_idx)
        self.prepare(jobs, more=initial_job_idx > 0 or not is_grid(self.config))
        return self.answers(job_overrides, self.train(jobs))

    def checked_jobs(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[SweepJob]:
        """Return the jobs of some overrides.

        Raises:
            ConfigError: For the first one that is not sound.
        """
        setup_globals()
        jobs = jobs_of_launcher(self.config, self.context.config_loader, job_overrides, initial_job_idx)
        for job in jobs:
            refuse_ignored(job.composed.config, job.composed.overrides, stacked=self.stacks)
        return jobs

    def prepare(self, jobs: list[SweepJob], *, more: bool) -> None:
        """Look at the folder of the sweep, and record the jobs; see ``prepare_folder``."""
        if self.writes:
            prepare_folder(jobs, more=more)

    def answers(self, job_overrides: Sequence[Sequence[str]], objectives: list[float]) -> list[JobReturn]:
        """Return objectives as Hydra wants them."""
        worst = worst_objective(self.config.hydra.sweeper)
        return [
            _job_return(words, worst if math.isnan(value) else value)
            for words, value in zip(job_overrides, objectives, strict=True)
        ]

    waits = True
    """Whether the runs are done when ``train`` returns."""

    @property
    def writes(self) -> bool:
        """Whether jobs are done at all."""
        return True

    @property
    def stacks(self) -> bool:
        """Whether jobs are trained as stacked models."""
        return False

    @abstractmethod
    def train(self, jobs: list[SweepJob]) -> list[float]:
        """Do what is left of all jobs; return their objectives, NaN for those that failed or diverged."""


class BasicLauncher(SweepLauncher):
    """One job after another, in this process and those that a job needs beside it.

    Other programs of an environment, which find it under the name of Hydra's own, get that one.
    """

    others: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        if not reads_configs_of_gaplab(hydra_context.config_loader.get_search_path()):
            from hydra._internal.core_plugins.basic_launcher import BasicLauncher as HydrasLauncher

            self.others = HydrasLauncher()
            self.others.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        launch = super().launch if self.others is None else self.others.launch
        return launch(job_overrides, initial_job_idx)

    def train(self, jobs: list[SweepJob]) -> list[float]:
        from gaplab.process.signals import stop_signals_caught
        from gaplab.sweeps.run_job import run_in_turn

        LAUNCHED.extend(job.path for job in jobs)
        with stop_signals_caught():
            return run_in_turn(jobs)


class PoolLauncher(SweepLauncher):
    """As many jobs at a time as there are parts of the machine."""

    def train(self, jobs: list[SweepJob]) -> list[float]:
        from gaplab.sweeps.run_sweep import train_in_pool

        settings = PoolConfig(**self.settings)
        LAUNCHED.extend(job.path for job in jobs)
        return train_in_pool(jobs, settings.num_workers, jobs[0].path.parent.resolve() / "pool")


class VectorizedLauncher(SweepLauncher):
    """The jobs of a batch together, as stacked models."""

    @property
    def stacks(self) -> bool:
        return True

    def train(self, jobs: list[SweepJob]) -> list[float]:
        from gaplab.sweeps.run_sweep import train_stacked

        settings = VectorizedConfig(**self.settings)
        LAUNCHED.extend(job.path for job in jobs)
        return train_stacked(
            jobs,
            max_models=settings.max_models,
            compile=settings.compile,
            processes=settings.processes,
        )


class SlurmLauncher(SweepLauncher):
    """Submits jobs and returns at once; the same command later submits what is not finished."""

    waits = False

    @property
    def writes(self) -> bool:
        return not SlurmConfig(**self.settings).dry_run

    @property
    def stacks(self) -> bool:
        return SlurmConfig(**self.settings).vectorized

    def train(self, jobs: list[SweepJob]) -> list[float]:
        from gaplab.sweeps.slurm import submit_sweep

        site = SlurmConfig(**self.settings)
        if "direction" in self.config.hydra.sweeper:
            raise ConfigError(
                "hydra/launcher: expected one that waits for the objectives which this sweeper needs, but "
                "got slurm, which only submits. Use vectorized or pool inside one job."
            )
        submit_sweep(site, jobs)
        return [math.nan] * len(jobs)


def _job_return(overrides: Sequence[str], objective: float) -> JobReturn:
    result: Any = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    result.return_value = objective
    return result
