"""Batches as index selections from tensors that stay on the device.

A step of a small network takes less time than Lightning's bookkeeping around it. The training loader can
therefore hand out *blocks*, the batches of many optimiser steps, which tasks/block_loop.py takes in one
call. It is stateless: a batch follows from its number and ``train_seed``, so a resumed run needs to know
nothing but the step.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaplab.randomness import epoch_order

STEPS_PER_BLOCK = 50
"""Optimiser steps in a block unless the configuration says otherwise; more would save nothing measurable."""


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
    """Number of the batch, from 0: that of the optimiser step unless gradients are accumulated."""

    @property
    def share(self) -> float:
        """This process's part of the whole batch, in [0, 1]."""
        return len(self.labels) / self.global_batch_size


class Block:
    """The batches of some optimiser steps in a row; no collection, so that nobody moves what lies in it."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


def shard(num_points: int, rank: int, world_size: int) -> slice:
    """Return the contiguous part of a batch that belongs to one process; sizes differ by at most one."""
    return slice(rank * num_points // world_size, (rank + 1) * num_points // world_size)


class TrainLoader:
    """What is left from step ``first_step()``: blocks until ``num_steps``, or batches of one epoch.

    Blocks end where an evaluation is due, so that Lightning can evaluate between two of them, and all of
    them are one epoch to Lightning, because an epoch of one step would cost more than the step.

    Args:
        points: All training points [P, D].
        labels: Their labels [P].
        batch_size: Points of a batch over all processes.
        num_steps: Optimiser steps of the run.
        steps_between_evaluations: Optimiser steps between two evaluations.
        train_seed: Seed of the order.
        rank: Number of this process.
        world_size: Number of processes.
        first_step: Tells how many optimiser steps have been taken.
        block_steps: Most steps in a block; 1 for plain batches instead of blocks.
        batches_per_step: Batches whose gradients one step accumulates, fewer at the end of an epoch; 1 for
            blocks.
        batches_per_epoch: Batches of an epoch that are used, the first ones of its order; None for all.
        same_order: Whether every epoch has the order of the first one.
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
        block_steps: int = STEPS_PER_BLOCK,
        batches_per_step: int = 1,
        batches_per_epoch: int | None = None,
        same_order: bool = False,
    ) -> None:
        self.points, self.labels = points, labels
        self.batch_size = batch_size
        self.num_steps = num_steps
        self.train_seed = train_seed
        self.rank, self.world_size = rank, world_size
        self.first_step = first_step
        self.in_blocks = block_steps > 1
        self.batches_per_step = batches_per_step
        self.is_full_batch = len(labels) <= batch_size
        self.batches_per_epoch = batches_per_epoch or -(-len(labels) // batch_size)
        self.same_order = same_order
        self.steps_per_epoch = -(-self.batches_per_epoch // batches_per_step)
        blocks = -(-steps_between_evaluations // block_steps)
        self.ends = _block_ends(num_steps, steps_between_evaluations, blocks) if self.in_blocks else []
        self._order: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.ends) - 1 if self.in_blocks else self.batches_per_epoch

    def __iter__(self) -> Iterator[Any]:
        start = self.first_step()
        if self.in_blocks:
            for begin, end in pairwise(self.ends):
                if end > start:
                    yield self.block(range(max(begin, start), end))
        else:
            epoch, position = self.position(start)
            for number in range(position, self.batches_per_epoch):
                yield self.batch(epoch * self.batches_per_epoch + number)

    def block(self, steps: range) -> Any:
        """Return the batches of some steps."""
        return Block([self.batch(step) for step in steps])

    def position(self, step: int) -> tuple[int, int]:
        """Return the epoch, and the items of it that lie before a step, as Lightning counts both."""
        if self.in_blocks:
            return 0, sum(end <= step for end in self.ends[1:])
        epoch, steps = divmod(step, self.steps_per_epoch)
        return epoch, steps * self.batches_per_step

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the step says it all. Lightning asks loaders that can be resumed for it."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what ``state_dict`` returned."""

    def batch(self, step: int) -> Batch:
        """Return this process's part of a batch; the last batch of an epoch may be smaller."""
        num_points = len(self.labels)
        epoch, position = divmod(step, self.batches_per_epoch)
        epoch = 0 if self.same_order else epoch
        if self.is_full_batch and self.world_size == 1:
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
