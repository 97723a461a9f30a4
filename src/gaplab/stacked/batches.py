"""The batches and the splits of K models, each with its own points, order and number of points."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gaplab.data.datamodule import PointDataModule
from gaplab.data.loader import TrainLoader
from gaplab.data.splits import Split
from gaplab.randomness import epoch_order
from gaplab.stacked.stacked_optimizer import DrawBuffers
from gaplab.stacked.update_rules import Params

FEW = 16
"""Coordinates of a point that are told apart; with more, a matrix product reads rows."""
SCORED_AT_ONCE, SCORED_EAGERLY = 2_048, 256
"""Points of one model in one call of the scoring function, compiled or not; without the compiler all their
activations are kept, for which the system would have to find new memory each time if they were many."""


def check_stackable(data: Sequence[Any]) -> None:
    """Refuse data whose batches are not rows of tensors on the device: they would be others than those of a run alone.

    Raises:
        ValueError: With the reason.
    """
    for one in data:
        if type(one) is not PointDataModule:
            raise ValueError("the data are read by loaders, one example at a time")
        if isinstance(one.splits["train"].points, dict):
            raise ValueError("points that are dicts of tensors have no stacked form")
        if one.batches_per_epoch is not None or one.same_batches:
            raise ValueError("trainer.extra limits the batches of an epoch")
    if len({(one.example_shape, one.target_shape, one.num_classes) for one in data}) > 1:
        raise ValueError("points of different shapes, or numbers of classes, have no common stacked form")


class BlockLoader(TrainLoader):
    """Blocks of step numbers: what ``TrainLoader`` hands out, without the points, which are stacked."""

    def block(self, steps: range) -> list[int]:
        return list(steps)


class StackedBatches:
    """Batches of K models in the order in which each model alone would see them.

    Args:
        splits: The training points of each model.
        order_seeds: The seed of each model's order.
        batch_size: Points of a batch; the last batch of an epoch may hold fewer, which a mask tells.
        width: Number of models with those that only fill up; these see the first model's batches.
        draw: What the models draw for a step, if anything.
        exact: Hand out batches without the points that only fill up, for networks in which one point changes the
            output of another. All models must have equally many points then.
        compiled: Whether compiled code reads them. On a CPU it gets each coordinate of all points of a batch side by
            side, as a vector.
    """

    def __init__(
        self,
        splits: Sequence[Split],
        order_seeds: Sequence[int],
        batch_size: int,
        width: int,
        draw: DrawBuffers | None,
        *,
        exact: bool = False,
        compiled: bool = False,
    ) -> None:
        self.counts = [len(split) for split in splits]
        self.order_seeds, self.batch_size, self.width, self.draw = order_seeds, batch_size, width, draw
        self.exact = exact
        self.apart = compiled and _are_few_coordinates(splits[0].points)
        longest = max(self.counts)
        some = splits[0].points
        self.points = some.new_zeros(len(splits), longest, *some.shape[1:])
        targets = splits[0].labels
        self.labels = targets.new_zeros(len(splits), longest, *targets.shape[1:])
        for index, split in enumerate(splits):
            self.points[index, : len(split)] = split.points
            self.labels[index, : len(split)] = split.labels
        self.dtype = some.dtype if some.is_floating_point() else torch.get_default_dtype()
        self.numbers = list(range(len(splits)))
        """By which ``draw`` knows the models."""
        self._orders: list[dict[int, Tensor]] = [{} for _ in splits]

    def gather(
        self, steps: Sequence[int], active: Sequence[bool]
    ) -> tuple[list[tuple[Tensor, Tensor, Tensor, Tensor]], list[Params]]:
        """Return points [K, B, ...], labels [K, B, ...], mask [K, B] and size [K], and the buffers, of each step.

        Models that are not active get points that nobody looks at.
        """
        tensors, buffers = self.gather_steps(steps, active)
        batches = list(zip(*tensors, strict=True))
        if self.exact:
            most = tensors[3].amax(dim=1).int().tolist()  # of those that train; the others' size is 1
            batches = [
                (x[:, :n], y[:, :n], m[:, :n], size) for n, (x, y, m, size) in zip(most, batches, strict=True)
            ]
        return batches, buffers

    def gather_steps(
        self, steps: Sequence[int], active: Sequence[bool]
    ) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], list[Params]]:
        """Return the same, filled up, with the steps S as the first dimension of tensors: points [S, K, B, ...]."""
        longest, *shape = self.points.shape[1:]
        chosen = torch.zeros(len(steps), self.width, self.batch_size, dtype=torch.int64)
        sizes = torch.ones(len(steps), self.width, dtype=torch.int64)
        for count, models in self._active_by_count(active).items():
            chosen[:, models], of_all = self._choose(count, models, steps)
            chosen[:, models] += torch.tensor(models)[:, None] * longest
            sizes[:, models] = of_all[:, None]
        device = self.points.device
        flat = chosen.view(-1).to(device)
        # ``index_select`` takes a third of the time that an index in brackets does.
        points = self.points.view(-1, *shape).index_select(0, flat).view(*chosen.shape, *shape)
        points = points.mT.contiguous().mT if self.apart else points
        targets = self.labels.shape[2:]
        labels = self.labels.view(-1, *targets).index_select(0, flat).view(*chosen.shape, *targets)
        mask = (torch.arange(self.batch_size) < sizes[..., None]).to(device, self.dtype)
        tensors = points, labels, mask, sizes.to(device, self.dtype)
        if self.draw is None:
            return tensors, [{}] * len(steps)
        return tensors, [self._buffers(step, sizes[row].tolist(), active) for row, step in enumerate(steps)]

    def _active_by_count(self, active: Sequence[bool]) -> dict[int, list[int]]:
        """The models that are active by their number of points."""
        groups: dict[int, list[int]] = defaultdict(list)
        for model, count in enumerate(self.counts):
            if active[model]:
                groups[count].append(model)
        return groups

    def keep(self, kept: Sequence[int], rows: Tensor) -> None:
        """Leave out all models but those at some positions."""
        self.points, self.labels = self.points[rows], self.labels[rows]
        self.counts = [self.counts[index] for index in kept]
        self.order_seeds = [self.order_seeds[index] for index in kept]
        self.numbers = [self.numbers[index] for index in kept]
        self._orders = [self._orders[index] for index in kept]
        self.width = len(kept)

    def _choose(self, count: int, models: Sequence[int], steps: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Choose the points of batches of some models M with equal numbers of points.

        Returns their positions [S, M, B], padded with zeros, and the sizes of the batches [S].
        """
        size = self.batch_size
        steps_per_epoch = -(-count // size)
        if steps_per_epoch == 1:
            # A full batch is taken in its own order; its size is the same for all models of a group.
            order = torch.zeros(size, dtype=torch.int64)
            order[:count] = torch.arange(count)
            return order.expand(len(steps), len(models), size), torch.full((len(steps),), count)
        first, last = steps[0] // steps_per_epoch, steps[-1] // steps_per_epoch
        rows = []
        for model in models:
            known, seed = self._orders[model], self.order_seeds[model]
            rows += [
                known[epoch] if epoch in known else epoch_order(count, seed, epoch)
                for epoch in range(first, last + 1)
            ]
            self._orders[model] = {last: rows[-1]}  # it may go on
        orders = torch.zeros(len(models), last - first + 1, steps_per_epoch * size, dtype=torch.int64)
        orders[..., :count] = torch.stack(rows).view(len(models), -1, count)
        batches = orders.view(len(models), -1, size).transpose(0, 1)
        offset = steps[0] - first * steps_per_epoch
        positions = torch.arange(steps[0], steps[-1] + 1) % steps_per_epoch
        return batches[offset : offset + len(steps)], (count - positions * size).clamp(max=size)

    def _buffers(self, step: int, sizes: list[int], active: Sequence[bool]) -> Params:
        """What the models draw for one step, stacked and padded to the size of a batch.

        Models that draw the same tensors, which ``draw`` tells by handing out the same dictionary, share them
        until they are stacked.
        """
        assert self.draw is not None, "gather asks only where something is drawn"
        distinct: dict[int, int] = {}
        tables: list[Params] = []
        rows = [0] * self.width
        for model, is_active in enumerate(active):
            if not is_active:
                continue
            drawn = self.draw(self.numbers[model], step, sizes[model])
            rows[model] = distinct.setdefault(id(drawn), len(tables))
            if rows[model] == len(tables):
                tables.append(drawn)
        stacked: Params = {}
        for name, some in tables[0].items():
            if self.exact:  # all draw for equally many points
                stacked[name] = torch.stack([table[name] for table in tables])[rows].to(self.points.device)
                continue
            whole = some.new_zeros(len(tables), self.batch_size, *some.shape[1:])
            for row, table in enumerate(tables):
                whole[row, : len(table[name])] = table[name]
            stacked[name] = whole[rows].to(self.points.device)
        return stacked


def _are_few_coordinates(points: Tensor) -> bool:
    """Whether points are vectors of few numbers on a CPU."""
    return points.device.type == "cpu" and points.dim() == 2 and points.shape[1] <= FEW


class StackedSplit:
    """One split of K models in pieces of equal size: points [K, E, ...], labels [K, E] and mask [K, E].

    Every piece has the same shape whatever the number of points, so that what one model scores depends
    neither on its neighbours nor on padding.
    """

    def __init__(self, splits: Sequence[Split], piece: int, width: int, *, compiled: bool = False) -> None:
        self.apart = compiled and _are_few_coordinates(splits[0].points)
        counts = [len(split) for split in splits]
        num_pieces = -(-max(counts) // piece)
        some, shape = splits[0].points, splits[0].points.shape[1:]
        # Compiled code gets coordinates apart, as ``StackedBatches`` hands them out.
        points = (
            some.new_zeros(num_pieces, width, *shape, piece).mT
            if self.apart
            else some.new_zeros(num_pieces, width, piece, *shape)
        )
        labels = splits[0].labels.new_zeros(num_pieces, width, piece)
        for index, split in enumerate(splits):
            full, rest = divmod(len(split), piece)
            end = full * piece
            points[:full, index] = split.points[:end].reshape(full, piece, *shape)
            labels[:full, index] = split.labels[:end].reshape(full, piece)
            if rest:
                points[full, index, :rest] = split.points[end:]
                labels[full, index, :rest] = split.labels[end:]
        ends = torch.tensor(counts + [0] * (width - len(counts)), device=some.device)
        positions = torch.arange(num_pieces * piece, device=some.device).view(num_pieces, 1, piece)
        self.counts = counts
        self.points, self.labels, self.mask = points, labels, positions < ends[:, None]

    def pieces(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return zip(self.points, self.labels, self.mask, strict=True)

    def keep(self, kept: Sequence[int], rows: Tensor) -> None:
        """Leave out all models but those at some positions."""
        points = self.points[:, rows]
        self.points = points.mT.contiguous().mT if self.apart else points
        self.labels, self.mask = self.labels[:, rows], self.mask[:, rows]
        self.counts = [self.counts[index] for index in kept]
