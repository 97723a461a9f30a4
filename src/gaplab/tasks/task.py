"""What the tasks of this package have in common."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from gaplab.data.loader import Batch
from gaplab.errors import DivergedError


class Task(LightningModule):
    """A LightningModule that can be measured on all splits, and that notes the losses of its steps.

    Validation measures every split whole, at the same weights and in eval mode; ``scorecard`` then gives
    the flat table that callbacks log and that ends up in ``result.json``.
    """

    monitor: str = "loss/{split}"
    """Tag of what selects the best weights on val, and what a sweep minimises."""
    quantities: ClassVar[dict[str, str]]
    """What ``note`` is told of, by tag, and what it is called where it is not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: dict[str, dict[int, Tensor]] = {}
        self.block_losses: dict[str, float] = {}
        """Mean loss of the latest block of steps (of the latest step where there are no blocks), by tag."""
        self.run_name = ""
        """What warnings call the run where it is one of many; empty for a run alone."""

    def note(self, tag: str, batch: Batch, loss: Tensor) -> None:
        """Keep the mean loss over this process's part of a batch (its first one, if L-BFGS asks again)."""
        own = loss.detach()
        share = batch.share
        self.noted.setdefault(tag, {}).setdefault(batch.step, own if share == 1.0 else own * share)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Average the losses since the last call over all processes.

        Raises:
            DivergedError: If one of them is not finite.
        """
        self.block_losses = {}
        noted, self.noted = self.noted, {}
        for tag, losses in noted.items():
            values = torch.stack(list(losses.values()))
            if self.trainer.world_size > 1:
                torch.distributed.all_reduce(values)
            self.block_losses[tag] = float(values.mean())
            broken = values.isfinite().logical_not().nonzero()
            if len(broken) > 0:
                raise DivergedError(self.quantities[tag], list(losses)[int(broken[0])])

    def layer_outputs(self, points: Tensor) -> dict[str, Tensor]:
        """Return outputs [P, H] by hidden layer, where the diagnostics of a run should look at them."""
        return {}

    @abstractmethod
    def scorecard(self) -> dict[str, float]:
        """Return the table of the latest measurement."""
