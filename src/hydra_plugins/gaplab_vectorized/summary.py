"""A Hydra callback: the ledger and summary of a sweep at its end, whatever launched it."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class SweepSummary(Callback):
    """Reports the sweep from the directories of its runs."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from gaplab.sweep_report import report_sweep

        folder = Path(str(config.hydra.sweep.dir))
        if any(folder.glob("*/run.json")):
            report_sweep(folder)
