"""Leaving out the models that are over: a stopped model should not cost the time of one that trains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gaplab.ensembles.batches import StackedBatches, StackedSplit

if TYPE_CHECKING:
    from gaplab.ensembles.ensemble import Ensemble

SHARE = 0.75
"""Compaction waits until at most this share of the computed models still trains: it costs a few steps."""


def worthwhile(num_active: int, num_models: int) -> bool:
    """Whether to leave out the models that are over."""
    return 0 < num_active <= SHARE * num_models


def compact(ensemble: "Ensemble", kept: Sequence[int]) -> None:
    """Keep only the models at the positions `kept`, in this order; everything stacked becomes smaller.

    What the others held is gone: write it first. The models that stay compute what they would have computed
    anyway. Not for a compiled ensemble, whose step has one shape.
    """
    rows = torch.tensor(list(kept), device=next(iter(ensemble.params.values())).device)
    with torch.inference_mode(False), torch.no_grad():
        ensemble.params, ensemble.best = _rows(ensemble.params, rows), _rows(ensemble.best, rows)
        state = ensemble.state
        buffers = {name: _rows(buffer, rows) for name, buffer in state.buffers.items()}
        ensemble.state = state._replace(steps=state.steps[rows], buffers=buffers)
        ensemble.knobs, ensemble.hyper = _rows(ensemble.knobs, rows), _rows(ensemble.hyper, rows)
    ensemble.members = [ensemble.members[index] for index in kept]
    ensemble.splits = [ensemble.splits[index] for index in kept]
    ensemble.problem.params = [ensemble.problem.params[index] for index in kept]
    ensemble.losses = [ensemble.losses[index] for index in kept] if ensemble.losses else []
    ensemble.width = len(kept)
    for split in ensemble.stacked_splits.values():
        _compact_split(split, rows, kept)
    _compact_batches(ensemble.batches, rows, kept)


def _rows(tensors: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {name: tensor[rows] for name, tensor in tensors.items()}


def _compact_split(split: StackedSplit, rows: Tensor, kept: Sequence[int]) -> None:
    split.points, split.labels = split.points[:, rows], split.labels[:, rows]
    split.mask = split.mask[:, rows]
    split.counts = [split.counts[index] for index in kept]


def _compact_batches(batches: StackedBatches, rows: Tensor, kept: Sequence[int]) -> None:
    batches.points, batches.labels = batches.points[rows], batches.labels[rows]
    batches.counts = [batches.counts[index] for index in kept]
    batches.order_seeds = [batches.order_seeds[index] for index in kept]
    batches._orders = [batches._orders[index] for index in kept]
    batches.width = len(kept)
    batches.numbers = [batches.numbers[index] for index in kept]
