"""Averaged weights of K models: what ``callbacks/weight_averaging.py`` computes for a run alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gaplab.config.schema import Config
from gaplab.stacked.stacking import fill, moved, rows_of, stack
from gaplab.stacked.update_rules import Params, per_model, select


class StackedAverage:
    """A moving or an even average of the weights of each model, with its own decay or first step.

    Args:
        configs: The configurations of the runs, all with ``trainer.ema_decay`` or all with ``trainer.swa_start``.
        params: Stacked parameters, for their shapes.
        prefix: What stands before their names in the state dict of a run's task.
        width: Number of models that are computed.
    """

    def __init__(self, configs: Sequence[Config], params: Params, prefix: str, width: int) -> None:
        self.prefix = prefix
        decays, firsts = (
            [one.trainer.ema_decay for one in configs],
            [one.first_averaged_step for one in configs],
        )
        self.name = "TailAverage" if decays[0] is None else "EMAWeightAveraging"
        """Of the callback of a run alone, under which a checkpoint keeps its state."""
        self.decays = fill(torch.tensor([decay or 0.0 for decay in decays], dtype=torch.float64), width)
        self.firsts = fill(torch.tensor([first or 0 for first in firsts]), width)
        self.counts = torch.zeros(width, dtype=torch.int64)
        """How many weights went into each average."""
        self.params = {name: p.clone() for name, p in params.items()}

    def to(self, device: torch.device) -> None:
        """Move everything to a device."""
        self.decays, self.firsts = self.decays.to(device), self.firsts.to(device)
        self.counts, self.params = self.counts.to(device), moved(self.params, device)

    def update(self, params: Params, step: int, active: Tensor) -> None:
        """Let the weights after step ``step``, from 0, go into the averages of models that train (bool [K])."""
        counts = active & (step >= self.firsts)
        even = 1.0 / (self.counts + 1).double()
        share = even if self.name == "TailAverage" else torch.where(self.counts == 0, 1.0, 1 - self.decays)
        share = torch.where(counts, share, 0.0)
        self.params = {
            key: torch.lerp(old, params[key], per_model(share, old)) for key, old in self.params.items()
        }
        self.counts = self.counts + counts

    def measured(self, params: Params) -> Params:
        """Return the averages; for models without one yet, their parameters."""
        return select(self.counts > 0, self.params, params)

    def saved(self, params: Params, index: int) -> dict[str, Any]:
        """Return what Lightning's callback adds to the checkpoint of one run, whose weights are ``params``."""
        trained = {self.prefix + name: p[index].cpu().clone() for name, p in params.items()}
        return {
            "current_model_state": trained,
            "averaging_state": {"n_averaged": self.counts[index].cpu().clone()},
        }

    def restore(self, checkpoints: Sequence[dict[str, Any]]) -> None:
        """Continue from the checkpoints of each run."""
        own = [{name: one["state_dict"][self.prefix + name] for name in self.params} for one in checkpoints]
        device = self.counts.device
        self.params = moved(stack(own, len(self.counts)), device)
        counts = torch.stack([one["averaging_state"]["n_averaged"].long() for one in checkpoints])
        self.counts = fill(counts, len(self.counts)).to(device)

    def keep(self, rows: Tensor) -> None:
        """Leave out all models but those at some positions."""
        self.params, self.counts = rows_of(self.params, rows), self.counts[rows]
        self.decays, self.firsts = self.decays[rows], self.firsts[rows]
