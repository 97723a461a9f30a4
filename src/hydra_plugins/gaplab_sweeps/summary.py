"""A Hydra callback: the ledger and summary of a sweep at its end, whatever launched it."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class SweepSummary(Callback):
    """Reports the sweep from the directories of its runs, and ranks capacity measures where it has them."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from gaplab.config.measures import Measures
        from gaplab.reports.sweep_report import report_sweep

        folder = Path(str(config.hydra.sweep.dir))
        if not any(folder.glob("*/run.json")):
            return
        ranks = str(config.measures) in (Measures.capacity, Measures.full)
        report_sweep(folder, rank=rank if ranks else None)


def rank(folder: Path) -> None:
    """Rank the capacity measures; a sweep in which nothing can be ranked is told so in one sentence."""
    from gaplab.errors import ConfigError
    from gaplab.reports.ranking import rank_study

    try:
        rank_study(folder, folder)
    except ConfigError as error:
        print(f"Capacity measures are not ranked: {error}")
