"""The jobs of a sweep: each with a configuration and a directory, frozen in a file when it has to wait."""

import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict

from gaplab.config.checks import ConfigError
from gaplab.config.compose import Composed, convert, restore
from gaplab.config.sweeps import fixed_words, job_name, limit_subruns


@dataclass(slots=True)
class Job:
    """One run of a sweep."""

    composed: Composed
    path: Path
    """The run directory."""

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


def job_of_sweep(tree: DictConfig, facts: Any) -> Job:
    """Make a job of what Hydra composed for it.

    Args:
        tree: The configuration without its ``hydra`` section.
        facts: The ``hydra`` section, still part of the whole, as it refers to other keys.

    Raises:
        ConfigError: If the settings are not sound.
    """
    given = [word for word in sys.argv[1:] if not word.startswith("-")]
    words = [str(word) for word in facts.overrides.task]
    limit_subruns(tree, given)
    name = job_name(words, fixed_words(words, given), int(facts.job.num))
    return Job(convert(tree, dict(facts.runtime.choices), words), Path(str(facts.sweep.dir)) / name)


def jobs_of_launcher(
    config: DictConfig, loader: ConfigLoader, batch: Sequence[Sequence[str]], first: int
) -> list[Job]:
    """Make the jobs that a sweeper hands to a launcher.

    Args:
        config: The configuration of the sweep.
        loader: Hydra's loader.
        batch: The overrides of each job.
        first: Number of the first job in the sweep.

    Raises:
        ConfigError: If the settings of a job are not sound; nothing has been started then.
    """
    jobs = []
    for num, words in enumerate(batch, start=first):
        whole = loader.load_sweep_config(config, list(words))
        with open_dict(whole):
            whole.hydra.job.num = num
            whole.hydra.job.id = num
        tree = copy.deepcopy(whole)
        OmegaConf.set_readonly(tree, False)
        with open_dict(tree):
            tree.pop("hydra")
        jobs.append(job_of_sweep(tree, whole.hydra))
    return jobs


def freeze(job: Job, file: Path) -> None:
    """Write a job so that later changes of ``configs/`` do not reach it."""
    content = {
        "path": str(job.path.resolve()),
        "overrides": job.composed.overrides,
        "config": job.composed.resolved,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def thaw(file: Path) -> Job:
    """Read a frozen job.

    Raises:
        ConfigError: If the file does not hold one.
    """
    try:
        content = yaml.safe_load(file.read_text())
        resolved, overrides, path = content["config"], content["overrides"], Path(content["path"])
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ConfigError(f"{file}: expected a job that a launcher has frozen, but: {error!r}.") from error
    return Job(Composed(restore(resolved, str(file)), resolved, overrides), path)


def is_finished(job: Job) -> bool:
    """Whether the run directory says that the job is done."""
    try:
        return bool(json.loads((job.path / "run.json").read_text())["status"] == "finished")
    except (OSError, ValueError, KeyError):
        return False
