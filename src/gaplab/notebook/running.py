"""Train one run from Python."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaplab.builders.load_run import LoadedRun, load_run
from gaplab.cli import planned
from gaplab.config.command_line import check_overrides
from gaplab.errors import ConfigError, Preempted
from gaplab.launch.processes import run_with_all_processes
from gaplab.notebook.process_settings import process_settings_kept
from gaplab.runs.directory import read_json
from gaplab.runs.resume import Plan
from gaplab.tensorboard.read_curves import History, read_history


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has been trained, as its directory holds it."""

    path: Path
    """The run directory."""

    @property
    def result(self) -> dict[str, Any]:
        """What ``result.json`` holds; empty for a phenomenon, which has a ``verdict.json``."""
        file = self.path / "result.json"
        return read_json(file) if file.is_file() else {}

    @property
    def scores(self) -> dict[str, float]:
        """Scores of the last weights by tag, for example ``gap/loss``."""
        return dict(self.result.get("last", {}))

    @property
    def best(self) -> dict[str, float]:
        """Scores of the best weights."""
        return dict(self.result.get("best", {}))

    @property
    def history(self) -> History:
        """Step to tag to value of everything that was measured on the way."""
        return read_history(self.path)

    def load(self, *, weights: str = "best") -> LoadedRun:
        """Return configuration, data and trained task; its extensions are loaded already."""
        return load_run(self.path, weights=weights)


def run(overrides: Sequence[str] = (), *, devices: int | None = None) -> FinishedRun:
    """Train what ``python train.py OVERRIDES`` would train, and return where it is and what came out.

    Args:
        overrides: Words of the command line, for example ``["data.noise=0.4", "seed=1"]``; ``resume=RUN`` too.
        devices: Processes to share the work, as ``trainer.devices``; the others are started and ended here.

    Raises:
        ConfigError: For any mistake; nothing has been written then.
        DivergedError: If the loss is no longer finite; the directory stays.
        KeyboardInterrupt: If the run was interrupted; it is saved, and the message says how to go on.
    """
    if isinstance(overrides, str):
        raise ConfigError(f'run: expected a list of words, such as ["seed=1"], but got {overrides!r}.')
    words = [*overrides, *([] if devices is None else [f"trainer.devices={devices}"])]
    if flags := [word for word in words if word.startswith("-")]:
        raise ConfigError(
            f"run: expected overrides only, but got {flags[0]}. Sweeps are started with train.py -m."
        )
    check_overrides(words, [], multirun=False)
    plans: list[Plan] = []

    with process_settings_kept():
        sys.argv[:] = ["train.py", *words]  # what run.json says to type
        decide, config = planned(words)

        def decide_and_note() -> Plan:
            plans.append(decide())
            return plans[0]

        try:
            run_with_all_processes(decide_and_note, config)
        except Preempted as error:
            raise KeyboardInterrupt(
                f"saved after {error}; run(['resume={plans[0].path}']) continues" if plans else str(error)
            ) from error
    return FinishedRun(plans[0].path)
