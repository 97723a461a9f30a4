"""The launcher: composes and checks all jobs, hands them to ``run_many``, returns their objectives."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class VectorizedLauncherConf:
    """Settings of the launcher, ``hydra.launcher.<key>``."""

    _target_: str = "hydra_plugins.gaplab_vectorized.launcher.VectorizedLauncher"
    max_models: int | None = None
    """Most models trained at once; null: what suits the device and fits into memory."""
    compile: bool | None = None
    """Whether to compile the training step; null: where that saves time."""


ConfigStore.instance().store(
    group="hydra/launcher", name="vectorized", node=VectorizedLauncherConf, provider="gaplab"
)


class VectorizedLauncher(Launcher):
    """Trains the jobs of a batch together instead of one after the other."""

    def __init__(self, max_models: int | None = None, compile: bool | None = None) -> None:
        self.max_models, self.compile = max_models, compile
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train all jobs; a mistake in any of them stops the sweep before the first one starts."""
        from gaplab.config.checks import ConfigError
        from gaplab.exits import refuse

        setup_globals()
        try:
            objectives = self._run([list(words) for words in job_overrides], initial_job_idx)
        except ConfigError as error:
            refuse(error)  # Hydra would print a traceback
        return [_job_return(words, value) for words, value in zip(job_overrides, objectives, strict=True)]

    def _run(self, jobs: list[list[str]], first: int) -> list[float]:
        from gaplab.config.sweep_jobs import compose_jobs
        from gaplab.config.sweeps import fixed_words, job_name, limit_subruns

        context, config = self.hydra_context, self.config
        assert context is not None and config is not None, "Hydra calls setup first"  # noqa: PT018
        is_grid = str(config.hydra.sweeper._target_).endswith(("BasicSweeper", "GridSweeper"))

        given = [word for word in sys.argv[1:] if not word.startswith("-")]

        def load(words: list[str]) -> DictConfig:
            tree = context.config_loader.load_sweep_config(config, words)
            limit_subruns(tree, given)
            return tree

        composed = compose_jobs(load, jobs, allow_repeats=not is_grid)
        fixed = {word.split("=")[0] for word in fixed_words(composed[0].overrides, given)}
        folder = Path(str(config.hydra.sweep.dir))
        paths = []
        for number, job in enumerate(composed, start=first):
            own = [word for word in job.overrides if word.lstrip("+~").split("=")[0] not in fixed]
            paths.append(folder / job_name(own, [], number))
        # Torch is imported only now, when everything is known to be sound.
        from gaplab.many import train_sweep

        return train_sweep(
            list(zip(composed, paths, strict=True)),
            max_models=self.max_models,
            compile=self.compile,
        )


def _job_return(overrides: Sequence[str], objective: float) -> JobReturn:
    result: Any = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    result.return_value = objective
    return result
