"""What the rest of the program expects of a task."""

from abc import abstractmethod

from lightning.pytorch import LightningModule

from gaplab.metrics.gap import SplitScore


class Task(LightningModule):
    """A LightningModule that takes optimiser steps in blocks and can be measured on all splits.

    Validation measures every split whole, at the same weights and in eval mode; ``scorecard`` then gives
    the flat table that callbacks log and that ends up in ``result.json``.
    """

    monitor: str = "loss/{split}"
    """Tag of what selects the best weights on val, and what a sweep minimises."""

    def __init__(self) -> None:
        super().__init__()
        # A step here is far cheaper than Lightning's automatic optimisation of it; see data/loader.py.
        self.automatic_optimization = False
        self.block_losses: dict[str, float] = {}
        """Mean loss of the latest block of steps, a value a tag."""
        self.scores: dict[str, SplitScore] = {}
        """Scores of the splits at the latest measurement."""
        self.run_name = ""
        """What warnings call the run where it is one of many; empty for a run alone."""

    @abstractmethod
    def scorecard(self) -> dict[str, float]:
        """Return the table of the latest measurement."""
