"""The jobs of a sweep: each with a configuration and a directory."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from gaplab.config.compose import Composed
from gaplab.sweeps.compose_jobs import compose_jobs
from gaplab.sweeps.naming import fixed_words, job_name, limit_subruns


@dataclass(slots=True)
class SweepJob:
    """One run of a sweep."""

    composed: Composed
    path: Path
    """The run directory."""
    until: int | None = None
    """The step at which it is left for now; None for its end."""

    @property
    def num_nodes(self) -> int:
        """Nodes to ask a scheduler for; ``auto`` is one."""
        nodes = self.composed.config.trainer.num_nodes
        return 1 if isinstance(nodes, str) else nodes

    @property
    def processes_per_node(self) -> int:
        """Processes on each node to ask a scheduler for; ``auto`` is one."""
        devices = self.composed.config.trainer.devices
        return 1 if isinstance(devices, str) else devices


LAUNCHED: list[Path] = []
"""Directories of the jobs that this process has done; a command does one sweep, hence one of these."""


def jobs_of_launcher(
    config: DictConfig, loader: ConfigLoader, batch: Sequence[Sequence[str]], first: int
) -> list[SweepJob]:
    """Make the jobs that a sweeper hands to a launcher.

    A sweeper that samples may repeat a job, which is then one run; a grid may not.

    Args:
        config: The configuration of the sweep.
        loader: Hydra's loader.
        batch: The overrides of each job.
        first: Number of the first job in the sweep.

    Raises:
        ConfigError: If the settings of a job are not sound; nothing has been started then.
    """
    given = _given_words()
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    typed = {_key(word) for word in given}
    words_of_all = [*given, *(f"{key}={value}" for key, value in params.items() if key not in typed)]

    def load(words: list[str]) -> DictConfig:
        tree = loader.load_sweep_config(config, words)
        limit_subruns(tree, words_of_all)
        return tree

    composed = compose_jobs(load, [list(words) for words in batch], allow_repeats=not is_grid(config))
    fixed = {_key(word) for word in fixed_words(composed[0].overrides, given)}
    folder = Path(str(config.hydra.sweep.dir))
    jobs = []
    for number, job in enumerate(composed, start=first):
        own = [word for word in job.overrides if _key(word) not in fixed]
        job.varied, job.number = [_key(word) for word in own], number
        jobs.append(SweepJob(job, folder / job_name(own, [], number)))
    return jobs


def is_grid(config: DictConfig) -> bool:
    """Whether the jobs of a sweep are known from its command; sweepers of others choose them as they go."""
    target = str(config.hydra.sweeper._target_)
    return target.endswith("BasicSweeper") or target.startswith("hydra_plugins.gaplab_sweeps.")


def _key(word: str) -> str:
    return word.lstrip("+~").split("=")[0]


def _given_words() -> list[str]:
    return [word for word in sys.argv[1:] if not word.startswith("-")]
