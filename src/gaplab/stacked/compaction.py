"""Leaving out the models that are over: a stopped model should not cost the time of one that trains."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gaplab.stacked.ensemble import Ensemble
from gaplab.stacked.stacked_optimizer import Phase
from gaplab.stacked.stacking import rows_of

SHARE = 0.75
"""Compaction waits until at most this share of the computed models still trains: it costs a few steps."""


def worthwhile(ensemble: Ensemble, num_active: int) -> bool:
    """Whether to leave out the models that are over; not where a step is compiled, which has one shape."""
    compiled = any(kernel.compile for kernel in ensemble.kernels.values())
    return not compiled and 0 < num_active <= SHARE * len(ensemble.members)


def compact(ensemble: Ensemble, kept: Sequence[int]) -> None:
    """Keep only the models at the positions `kept`, in this order; everything stacked becomes smaller.

    What the others held is gone: write it first. The models that stay compute what they would have computed
    anyway.
    """
    with torch.inference_mode(False), torch.no_grad():
        rows = torch.tensor(list(kept), device=ensemble.device)
        for phase in ensemble.phases:
            _compact_phase(phase, kept, rows)
        ensemble.kept, ensemble.best = rows_of(ensemble.kept, rows), rows_of(ensemble.best, rows)
        ensemble.keep(kept, rows)
    ensemble.members = [ensemble.members[index] for index in kept]
    ensemble.splits = [ensemble.splits[index] for index in kept]
    ensemble.block_losses = [ensemble.block_losses[index] for index in kept]
    ensemble.width = len(kept)


def _compact_phase(phase: Phase, kept: Sequence[int], rows: Tensor) -> None:
    phase.params, phase.hyper = rows_of(phase.params, rows), rows_of(phase.hyper, rows)
    buffers = {name: rows_of(buffer, rows) for name, buffer in phase.state.buffers.items()}
    phase.state = phase.state._replace(steps=phase.state.steps[rows], buffers=buffers)
    phase.configs = [phase.configs[index] for index in kept]
    phase.width = len(kept)
