"""``hydra/sweeper=grid|random|halving``: which jobs there are, and which of them are trained how far.

Hydra's grid sweeper checks every job by composing it; these leave that to the launchers, which do it much faster.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Sweep

from gaplab.config.hydra_versions import offer
from gaplab.errors import ConfigError
from gaplab.sweeps.naming import MOST_JOBS, num_jobs

HERE = "hydra_plugins.gaplab_sweeps.sweeper"


@dataclass
class GridSweeperConf:
    """The keys of Hydra's ``basic`` sweeper, and settings that are no grid."""

    _target_: str = f"{HERE}.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None
    settings: list[str] = field(default_factory=list)
    """Words of several keys that belong together, such as ``data.batch_size=8 trainer.max_steps=2000``; each of these
    with all combinations of the swept values. An empty text adds nothing to them."""


@dataclass
class RandomSweeperConf(GridSweeperConf):
    """Random search: intervals and choices are drawn, each draw with all combinations of lists and ranges."""

    _target_: str = f"{HERE}.RandomSweeper"
    draws: int | None = None
    """How often to draw."""
    seed: int = 0
    """What is drawn."""


@dataclass
class HalvingSweeperConf(RandomSweeperConf):
    """Successive halving over a grid, or over draws."""

    _target_: str = f"{HERE}.HalvingSweeper"
    min_steps: int | None = None
    """Optimiser steps of the first rung; null for ``trainer.max_steps / eta**3``."""
    eta: int = 3
    """Of so many settings one goes on, to so many times as many steps."""


CONFS = {"grid": GridSweeperConf, "random": RandomSweeperConf, "halving": HalvingSweeperConf}
for _name, _node in CONFS.items():
    offer(_name, _node, "hydra/sweeper")


class GridSweeper(BasicSweeper):
    """All combinations of the swept values. It writes nothing: a sweep with a mistake leaves no folder."""

    def __init__(self, settings: Sequence[str] = (), **others: Any) -> None:
        super().__init__(**others)
        self.settings = settings

    def sweep(self, arguments: list[str]) -> Any:
        """Hand the jobs to the launcher, batch by batch, when all of them are known to be sound."""
        launcher: Any = self.launcher
        batches = self.batches([*self._parse_config(), *arguments])
        if len(batches) > 1:
            launcher.checked_jobs(list(chain(*batches)), 0)
        answers, first = [], 0
        for batch in batches:
            answers.append(launcher.launch(batch, initial_job_idx=first))
            first += len(batch)
        return answers

    def batches(self, words: list[str]) -> list[list[list[str]]]:
        """Return the overrides of all jobs, in batches.

        Raises:
            ConfigError: If there are too many, or an interval or a list of ranges is among the words.
        """
        from gaplab.sweeps.random_draws import is_drawn

        for override in (overrides := self.parsed(words)):
            if override.is_sweep_override() and not override.is_discrete_sweep() and is_drawn(override):
                raise ConfigError(
                    f"{override.key_or_group}: expected a list or range in a grid, but got an interval. Draw from it: "
                    "hydra/sweeper=random hydra.sweeper.draws=20."
                )
            if override.is_choice_sweep() and any(isinstance(one, Sweep) for one in override.value().list):
                raise ConfigError(
                    f"{override.key_or_group}: expected values or one range, but got {override.input_line}. "
                    "Write out the values, as in seed=0,1,2."
                )
        number = num_jobs(words)
        if number * max(1, len(self.settings)) > MOST_JOBS and number < sys.maxsize:
            raise ConfigError(
                f"-m: expected at most {MOST_JOBS:_} runs, but got {number:_}. Split the ranges."
            )
        if not self.settings:
            return self.split_arguments(overrides, self.max_batch_size) or [[]]
        grid = list(chain(*self.split_arguments(overrides, None))) or [[]]
        given = {override.key_or_group for override in overrides}
        jobs = [
            [*job, *more] for text in self.settings for more in self._of_setting(text, given) for job in grid
        ]
        return list(self.split_overrides_to_chunks(jobs, self.max_batch_size))

    def _of_setting(self, text: str, given: set[str]) -> list[list[str]]:
        """Return the overrides of one entry of ``settings``, once for each combination of its own lists.

        Raises:
            ConfigError: If it sets a key that is ``given`` already.
        """
        overrides = self.parsed(text.split())
        for key in (override.key_or_group for override in overrides):
            if key in given:
                raise ConfigError(
                    f"hydra.sweeper.settings: expected keys that the sweep does not set elsewhere, but {text!r} sets "
                    f"{key} as well. Leave it out in one of the two places."
                )
        return list(chain(*self.split_arguments(overrides, None))) or [[]]

    def parsed(self, words: list[str]) -> list[Any]:
        """Return the words as Hydra's grammar reads them."""
        assert self.hydra_context is not None, "Hydra calls setup first"
        return OverridesParser.create(config_loader=self.hydra_context.config_loader).parse_overrides(words)


class RandomSweeper(GridSweeper):
    """Draws of intervals and choices, each with all combinations of lists and ranges."""

    def __init__(self, draws: int | None, seed: int, **others: Any) -> None:
        super().__init__(**others)
        self.draws, self.seed = draws, seed

    def batches(self, words: list[str]) -> list[list[list[str]]]:
        """Return the overrides of all jobs, in batches.

        Raises:
            ConfigError: If there is nothing to draw, or too much.
        """
        from gaplab.sweeps.random_draws import draw, is_drawn

        drawn = [one for one in self.parsed(words) if one.is_sweep_override() and is_drawn(one)]
        if not drawn and self.draws is None:
            return super().batches(words)
        if not drawn or self.draws is None or self.draws < 1:
            raise ConfigError(
                "hydra.sweeper.draws: expected a number of draws beside keys to draw, as in hydra.sweeper.draws=20 "
                f"optimizer.lr='tag(log,interval(1e-4,1e-1))', but got {self.draws} and {len(drawn)} such keys."
            )
        keys = {one.input_line for one in drawn}
        others = [word for word in words if word not in keys]
        if self.draws * num_jobs(others) > MOST_JOBS:
            raise ConfigError(
                f"hydra.sweeper.draws: expected at most {MOST_JOBS:_} runs, but got {self.draws:_} draws."
            )
        grid = list(chain(*super().batches(others)))
        jobs = [[*job, *words] for words in draw(drawn, self.draws, self.seed) for job in grid]
        return list(self.split_overrides_to_chunks(jobs, self.max_batch_size))


class HalvingSweeper(RandomSweeper):
    """The jobs of a grid or of draws, of which the better ones are trained longer."""

    def __init__(self, min_steps: int | None, eta: int, **others: Any) -> None:
        super().__init__(**others)
        self.min_steps, self.eta = min_steps, eta

    def sweep(self, arguments: list[str]) -> Any:
        """Train the jobs rung after rung, with any launcher that waits for them."""
        from gaplab.sweeps.halving import check_halving, halve

        launcher: Any = self.launcher
        batch = list(chain(*self.batches([*self._parse_config(), *arguments])))
        if not launcher.waits:
            raise ConfigError(
                "hydra/launcher: expected one that waits for the values which hydra/sweeper=halving compares, but got "
                "slurm, which only submits. Use vectorized or pool inside one job."
            )
        jobs = launcher.checked_jobs(batch, 0)
        rungs = check_halving(jobs, self.min_steps, self.eta)
        launcher.prepare(jobs, more=False)
        return [launcher.answers(batch, halve(jobs, rungs, self.eta, launcher.train))]
