"""Leaving out the models that are over: a stopped model should not cost the time of one that trains."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gaplab.stacked.ensemble import Ensemble
from gaplab.stacked.stacked_optimizer import StackedOptimizer
from gaplab.stacked.stacking import rows_of

SHARE = 0.75
"""Compaction waits until at most this share of the computed models still trains: it costs a few steps."""


def worthwhile(ensemble: Ensemble, num_active: int) -> bool:
    """Whether to leave out the models that are over; not where a step is compiled, which has one shape."""
    compiled = any(one.compile for one in ensemble.compiled.values())
    return not compiled and 0 < num_active <= SHARE * len(ensemble.members)


def compact(ensemble: Ensemble, kept: Sequence[int]) -> None:
    """Keep only the models at the positions ``kept``, in this order; everything stacked becomes smaller.

    What the others held is gone: write it first. The models that stay compute what they would have computed
    anyway.
    """
    with torch.inference_mode(False), torch.no_grad():
        rows = torch.tensor(list(kept), device=ensemble.device)
        for opt in ensemble.stacked_optimizers:
            _compact_phase(opt, kept, rows)
        ensemble.kept, ensemble.best = rows_of(ensemble.kept, rows), rows_of(ensemble.best, rows)
        ensemble.keep(kept, rows)
    ensemble.members = [ensemble.members[index] for index in kept]
    ensemble.splits = [ensemble.splits[index] for index in kept]
    ensemble.block_losses = [ensemble.block_losses[index] for index in kept]
    ensemble.width = len(kept)


def _compact_phase(opt: StackedOptimizer, kept: Sequence[int], rows: Tensor) -> None:
    opt.params, opt.hyper = (
        rows_of(opt.params, rows),
        rows_of(opt.hyper, rows),
    )
    buffers = {name: rows_of(buffer, rows) for name, buffer in opt.state.buffers.items()}
    opt.state = opt.state._replace(steps=opt.state.steps[rows], buffers=buffers)
    opt.configs = [opt.configs[index] for index in kept]
    opt.width = len(kept)
