"""The launcher: composes and checks all jobs, hands them to ``train_sweep``, returns their objectives."""

import math
from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gaplab.config.cluster import VectorizedConfig
from gaplab.errors import ConfigError
from gaplab.sweeps.job import jobs_of_launcher
from gaplab.sweeps.naming import worst_objective

ConfigStore.instance().store(
    group="hydra/launcher", name="vectorized", node=VectorizedConfig, provider="gaplab"
)


class VectorizedLauncher(Launcher):
    """Trains the jobs of a batch together instead of one after the other."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train all jobs; a mistake in any of them stops the sweep before the first one starts."""
        from gaplab.process.exits import refuse

        setup_globals()
        try:
            objectives = self._run(job_overrides, initial_job_idx)
        except ConfigError as error:
            refuse(error)  # Hydra would print a traceback
        return [_job_return(words, value) for words, value in zip(job_overrides, objectives, strict=True)]

    def _run(self, batch: Sequence[Sequence[str]], first: int) -> list[float]:
        context, config = self.hydra_context, self.config
        assert context is not None and config is not None, "Hydra calls setup first"  # noqa: PT018
        settings = VectorizedConfig(**self.settings)
        jobs = jobs_of_launcher(config, context.config_loader, batch, first)
        from gaplab.sweeps.run_sweep import train_sweep

        objectives = train_sweep(
            [(job.composed, job.path) for job in jobs],
            max_models=settings.max_models,
            compile=settings.compile,
            processes=settings.processes,
        )
        worst = worst_objective(config.hydra.sweeper)
        return [worst if math.isnan(value) else value for value in objectives]


def _job_return(overrides: Sequence[str], objective: float) -> JobReturn:
    result: Any = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    result.return_value = objective
    return result
