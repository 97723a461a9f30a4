"""Batches as index selections from tensors that stay on the device.

A step of a small network takes less time than Lightning's bookkeeping around one call of
``training_step``. The training loader therefore hands out *blocks*, lists of the batches of many
optimiser steps, and ``training_step`` loops over them. It is stateless: the batch of a step follows from
the step's number and ``train_seed``, so a resumed run needs to know nothing but the step.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaplab.randomness import epoch_order

STEPS_PER_BLOCK = 50
"""Most optimiser steps in one call of ``training_step``; more would save nothing measurable."""


class Batch(NamedTuple):
    """The points of one optimiser step that this process works on."""

    points: Tensor
    """float [B, D]; B is this process's part of the batch."""
    labels: Tensor
    """int64 [B]."""
    offset: int
    """Position of the first of these points in the whole batch."""
    global_batch_size: int
    """Points of the whole batch over all processes: what a mean over the batch divides by."""
    step: int
    """Number of the optimiser step, from 0."""


def shard(num_points: int, rank: int, world_size: int) -> slice:
    """Return the contiguous part of a batch that belongs to one process; sizes differ by at most one."""
    return slice(rank * num_points // world_size, (rank + 1) * num_points // world_size)


class TrainLoader:
    """Blocks of batches from step ``first_step()`` to ``num_steps``.

    Blocks end where an evaluation is due, so that Lightning can evaluate between two of them.
    """

    def __init__(
        self,
        points: Tensor,
        labels: Tensor,
        *,
        batch_size: int,
        num_steps: int,
        steps_between_evaluations: int,
        train_seed: int,
        rank: int = 0,
        world_size: int = 1,
        first_step: Callable[[], int] = lambda: 0,
    ) -> None:
        self.points, self.labels = points, labels
        self.batch_size = batch_size
        self.num_steps = num_steps
        self.train_seed = train_seed
        self.rank, self.world_size = rank, world_size
        self.first_step = first_step
        blocks = -(-steps_between_evaluations // STEPS_PER_BLOCK)
        self.ends = _block_ends(num_steps, steps_between_evaluations, blocks)
        self._order: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __iter__(self) -> Iterator[list[Batch]]:
        start = self.first_step()
        for begin, end in pairwise(self.ends):
            if end > start:
                yield [self.batch(step) for step in range(max(begin, start), end)]

    def blocks_before(self, step: int) -> int:
        """Return the number of whole blocks before a step."""
        return sum(end <= step for end in self.ends[1:])

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the step says it all. Lightning asks loaders that can be resumed for it."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what ``state_dict`` returned."""

    def batch(self, step: int) -> Batch:
        """Return this process's part of the batch of one step; the last batch of an epoch may be smaller."""
        num_points = len(self.labels)
        steps_per_epoch = -(-num_points // self.batch_size)
        epoch, position = divmod(step, steps_per_epoch)
        if steps_per_epoch == 1 and self.world_size == 1:
            return Batch(self.points, self.labels, 0, num_points, step)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, epoch_order(num_points, self.train_seed, epoch).to(self.points.device)
        whole = self._order[1][position * self.batch_size : (position + 1) * self.batch_size]
        part = shard(len(whole), self.rank, self.world_size)
        chosen = whole[part]
        return Batch(self.points[chosen], self.labels[chosen], part.start, len(whole), step)


class SplitLoader:
    """A whole split in order, in chunks, each point exactly once over all processes."""

    def __init__(
        self, points: Tensor, labels: Tensor, *, rank: int = 0, world_size: int = 1, chunk_size: int = 8_192
    ) -> None:
        part = shard(len(labels), rank, world_size)
        self.points = torch.split(points[part], chunk_size)
        self.labels = torch.split(labels[part], chunk_size)

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.points, self.labels, strict=True)


def _block_ends(num_steps: int, steps_between: int, blocks_between: int) -> list[int]:
    """Steps at which blocks end: every evaluation step, and evenly spaced steps between two of them."""
    ends = [0]
    while ends[-1] < num_steps:
        base = ends[-1]
        ends += [base + steps_between * block // blocks_between for block in range(1, blocks_between + 1)]
    return [end for end in ends if end < num_steps] + [num_steps]
