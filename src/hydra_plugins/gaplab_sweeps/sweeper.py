"""Hydra's grid sweeper, which leaves the check of all jobs to the launchers: they do it much faster."""

import sys
from dataclasses import dataclass
from itertools import chain
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser

from gaplab.errors import ConfigError
from gaplab.sweeps.job import jobs_of_launcher
from gaplab.sweeps.naming import MOST_JOBS, num_jobs


@dataclass
class GridSweeperConf:
    """The keys of Hydra's ``basic`` sweeper."""

    _target_: str = "hydra_plugins.gaplab_sweeps.sweeper.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="gaplab")


class GridSweeper(BasicSweeper):
    """All combinations of the swept values. It writes nothing: a sweep with a mistake leaves no folder."""

    def sweep(self, arguments: list[str]) -> Any:
        """Hand the jobs to the launcher, batch by batch, when all of them are known to be sound."""
        context, config, launcher = self.hydra_context, self.config, self.launcher
        assert context is not None, "Hydra calls setup first"
        assert config is not None, "Hydra calls setup first"
        assert launcher is not None, "Hydra calls setup first"
        parser = OverridesParser.create(config_loader=context.config_loader)
        words = [*self._parse_config(), *arguments]
        if MOST_JOBS < (number := num_jobs(words)) < sys.maxsize:
            raise ConfigError(
                f"-m: expected at most {MOST_JOBS:_} runs, but got {number:_}. Split the ranges."
            )
        overrides = parser.parse_overrides(words)
        batches = self.split_arguments(overrides, self.max_batch_size) or [[]]
        if len(batches) > 1:
            jobs_of_launcher(config, context.config_loader, list(chain(*batches)), 0)
        answers, first = [], 0
        for batch in batches:
            answers.append(launcher.launch(batch, initial_job_idx=first))
            first += len(batch)
        return answers
