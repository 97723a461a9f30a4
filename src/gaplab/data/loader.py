"""Batches as index selections from tensors that stay on the device.

A step of a small network takes less time than Lightning's bookkeeping around it. The training loader can
therefore hand out *blocks*, the batches of many optimiser steps, which tasks/block_loop.py takes in one
call. It is stateless: a batch follows from its number and ``train_seed``, so a resumed run needs to know
nothing but the step.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor

from gaplab.config.evaluations import EvenlySpaced
from gaplab.data.splits import Inputs, select
from gaplab.randomness import epoch_order

STEPS_PER_BLOCK = 50
"""Optimiser steps in a block unless the configuration says otherwise; more would save nothing measurable."""


class Batch(NamedTuple):
    """The points of one optimiser step that this process works on."""

    points: Any
    """Tensor [B, ...] or a dict of such; B is this process's part of the batch."""
    labels: Tensor
    """int64 [B] for classes, float [B] or [B, T] for real targets."""
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

    def part(self, whole: Tensor) -> Tensor:
        """Return the rows [B, ...] of something drawn for the whole batch that belong to these points.

        So random numbers are the same with one process or many.
        """
        return whole[self.offset : self.offset + len(self.labels)]


class Block:
    """The batches of some optimiser steps in a row; no collection, so that nobody moves what lies in it.

    Args:
        steps: Numbers of the batches.
        batch: Gathers one of them, when its turn comes.
    """

    def __init__(self, steps: range, batch: Callable[[int], Batch]) -> None:
        self.steps, self.batch = steps, batch

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Batch]:
        return map(self.batch, self.steps)


def shard(num_points: int, rank: int, world_size: int) -> slice:
    """Return the contiguous part of a batch that belongs to one process; sizes differ by at most one."""
    return slice(rank * num_points // world_size, (rank + 1) * num_points // world_size)


class TrainLoader:
    """What is left from step ``first_step()``: blocks until ``num_steps``, or batches of one epoch.

    Blocks end where an evaluation is due, so that Lightning can evaluate between two of them, and all of
    them are one epoch to Lightning, because an epoch of one step would cost more than the step.

    Args:
        points: All training points [P, ...], or a dict of such tensors.
        labels: Their labels [P] or targets [P, T].
        batch_size: Points of a batch over all processes.
        num_steps: Optimiser steps of the run.
        evaluation_steps: Optimiser steps at which an evaluation is due.
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
        points: Inputs,
        labels: Tensor,
        *,
        batch_size: int,
        num_steps: int,
        evaluation_steps: Sequence[int],
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
        self.num_points, self.device = len(labels), labels.device
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
        self.ends = BlockEnds(num_steps, evaluation_steps, block_steps)
        self._order: tuple[int, Sequence[Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.ends) if self.in_blocks else self.batches_per_epoch

    def __iter__(self) -> Iterator[Any]:
        start = self.first_step()
        if self.in_blocks:
            for number in range(self.ends.up_to(start), len(self.ends)):
                yield self.block(range(max(self.ends[number], start), self.ends[number + 1]))
        else:
            epoch, position = self.position(start)
            for number in range(position, self.batches_per_epoch):
                yield self.batch(epoch * self.batches_per_epoch + number)

    def block(self, steps: range) -> Any:
        """Return the batches of some steps."""
        return Block(steps, self.batch)

    def position(self, step: int) -> tuple[int, int]:
        """Return the epoch, and the items of it that lie before a step, as Lightning counts both."""
        if self.in_blocks:
            return 0, self.ends.up_to(step)
        epoch, steps = divmod(step, self.steps_per_epoch)
        return epoch, steps * self.batches_per_step

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the step says it all. Lightning asks loaders that can be resumed for it."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what ``state_dict`` returned."""

    def batch(self, step: int) -> Batch:
        """Return this process's part of a batch; the last batch of an epoch may be smaller."""
        if self.is_full_batch and self.world_size == 1:
            return Batch(self.points, self.labels, 0, self.num_points, step)
        chosen, offset, size = self.rows(step)
        return Batch(select(self.points, chosen), self.labels[chosen], offset, size, step)

    def rows(self, step: int) -> tuple[Tensor, int, int]:
        """Return the rows of this process's part of a batch, the offset of the first, and the size of the batch."""
        epoch, position = divmod(step, self.batches_per_epoch)
        epoch = 0 if self.same_order else epoch
        if self._order is None or self._order[0] != epoch:
            order = epoch_order(self.num_points, self.train_seed, epoch).to(self.device)
            self._order = epoch, order.split(self.batch_size)
        whole = self._order[1][position]
        if self.world_size == 1:
            return whole, 0, len(whole)
        part = shard(len(whole), self.rank, self.world_size)
        return whole[part], part.start, len(whole)


class SplitLoader:
    """A whole split in order, in chunks, each point exactly once over all processes."""

    def __init__(
        self, points: Inputs, labels: Tensor, *, rank: int = 0, world_size: int = 1, chunk_size: int = 8_192
    ) -> None:
        part = shard(len(labels), rank, world_size)
        self.first, self.num_points, self.chunk_size = part.start, len(labels), chunk_size
        """Where this process's part begins in the split, the points of the whole split, and those of a chunk."""
        chunks = [
            slice(begin, begin + chunk_size) for begin in range(0, max(part.stop - part.start, 1), chunk_size)
        ]
        own = select(points, part)
        self.points = [select(own, chunk) for chunk in chunks]
        self.labels = [labels[part][chunk] for chunk in chunks]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Inputs, Tensor]]:
        return zip(self.points, self.labels, strict=True)


class BlockEnds:
    """Steps at which blocks end: every evaluation step, evenly spaced steps between two of them, and the last step.

    They follow from their number, so that a run of any length has room for them. ``ends[0]`` is 0, the beginning.

    >>> ends = BlockEnds(num_steps=12, evaluation_steps=(5, 10, 12), block_steps=2)
    >>> [ends[number] for number in range(len(ends) + 1)]
    [0, 1, 3, 5, 6, 8, 10, 12]
    """

    def __init__(self, num_steps: int, evaluation_steps: Sequence[int], block_steps: int) -> None:
        if isinstance(evaluation_steps, EvenlySpaced):
            stretches = [Stretch(0, num_steps, evaluation_steps.every, block_steps)]
        else:
            due = sorted({0, *(step for step in evaluation_steps if step < num_steps), num_steps})
            stretches = [Stretch(begin, end, end - begin, block_steps) for begin, end in pairwise(due)]
        self.stretches = stretches
        self.begins = [stretch.begin for stretch in stretches]
        self.before = [0]
        """How many blocks come before each stretch, and how many there are in all."""
        for stretch in stretches:
            self.before.append(self.before[-1] + len(stretch))

    def __len__(self) -> int:
        return self.before[-1]

    def __getitem__(self, number: int) -> int:
        place = min(bisect_right(self.before, number), len(self.stretches)) - 1
        return self.stretches[place].end_of(number - self.before[place])

    def up_to(self, step: int) -> int:
        """Return how many blocks end at a step or before."""
        place = bisect_right(self.begins, step) - 1
        return self.before[place] + self.stretches[place].up_to(step)


class Stretch(NamedTuple):
    """Steps from ``begin`` to ``end``, of which every ``every``-th and the last are measured."""

    begin: int
    end: int
    every: int
    block_steps: int

    @property
    def blocks(self) -> int:
        """Blocks from one measurement to the next."""
        return -(-self.every // self.block_steps)

    def __len__(self) -> int:
        whole, rest = divmod(self.end - self.begin, self.every)
        return whole * self.blocks + -(-rest * self.blocks // self.every)

    def end_of(self, number: int) -> int:
        """Return where a block of the stretch ends, counted from 1; 0 stands for its beginning."""
        whole, rest = divmod(number, self.blocks)
        return min(self.begin + whole * self.every + rest * self.every // self.blocks, self.end)

    def up_to(self, step: int) -> int:
        """Return how many blocks of the stretch end at a step or before."""
        if step >= self.end:
            return len(self)
        whole, rest = divmod(step - self.begin, self.every)
        return whole * self.blocks + ((rest + 1) * self.blocks - 1) // self.every
