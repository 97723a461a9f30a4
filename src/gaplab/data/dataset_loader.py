"""Batches from Datasets that are read lazily, equal bit for bit with any number of workers, processes and restarts.

Every example is read under global generators that are seeded by its row and its epoch, so that augmentation does not
depend on who reads the example, nor on what was read before.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from gaplab.data.loader import Batch, TrainLoader, shard
from gaplab.data.splits import Inputs, Split, as_split, select
from gaplab.randomness import stream_seed

Example = tuple[Any, Any]


class SeededExamples(Dataset[Example]):
    """A Dataset of ``(input, target)`` whose item ``(epoch, row)`` is read under a seed of its own."""

    def __init__(self, dataset: Dataset[Any], seed: int, name: str) -> None:
        self.dataset, self.seed, self.name = dataset, seed, name

    def __getitem__(self, place: tuple[int, int]) -> Example:
        epoch, row = place
        number = stream_seed(self.seed, "example", self.name, epoch, row)
        before = torch.get_rng_state(), np.random.get_state(), random.getstate()
        torch.default_generator.manual_seed(number)
        np.random.seed(number % 2**32)
        random.seed(number)
        try:
            inputs, target = self.dataset[row]
        finally:
            torch.set_rng_state(before[0])
            np.random.set_state(before[1])
            random.setstate(before[2])
        return inputs, target


def collate(rows: list[Example]) -> Split:
    """Return some examples as tensors in the types that networks take."""
    inputs, targets = default_collate(rows)
    return as_split("examples", inputs, targets)


def read(examples: SeededExamples, batches: list[list[tuple[int, int]]], num_workers: int) -> Iterator[Split]:
    """Yield batches of examples, in order; a batch may be empty, where there are more processes than points."""
    full = [batch for batch in batches if batch]
    loader = iter(
        DataLoader(
            examples,
            batch_sampler=full,
            collate_fn=collate,
            num_workers=num_workers,
            generator=torch.Generator(),  # of the workers' own seeds, which no example uses
        )
        if full
        else ()
    )
    for batch in batches:
        yield next(loader) if batch else collate([examples[0, 0]])[:0]


class ExampleSplit:
    """A Dataset as a split: rows are read when they are asked for, and ``points`` and ``labels`` read all of them."""

    def __init__(self, dataset: Dataset[Any], seed: int, name: str) -> None:
        self.dataset = dataset
        self.examples = SeededExamples(dataset, seed, name)
        self.change: Callable[[Tensor], Tensor] = lambda tensor: tensor
        self._whole: Split | None = None

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, chosen: Any) -> Split:
        rows = torch.arange(len(self))[chosen.cpu() if isinstance(chosen, Tensor) else chosen].tolist()
        split = collate([self.examples[0, row] for row in rows])
        split.moved(self.change)
        return split

    @property
    def whole(self) -> Split:
        """All examples, read once."""
        if self._whole is None:
            self._whole = self[slice(None)]
        return self._whole

    @property
    def points(self) -> Inputs:
        return self.whole.points

    @property
    def labels(self) -> Tensor:
        return self.whole.labels

    def moved(self, change: Callable[[Tensor], Tensor]) -> None:
        """Change tensors when they have been read."""
        self.change = change
        self._whole = None


class DatasetTrainLoader(TrainLoader):
    """The batches of one epoch, from where the run stands."""

    def __init__(self, dataset: Dataset[Any], num_workers: int, **settings: Any) -> None:
        rows = torch.arange(len(dataset))  # type: ignore[arg-type]
        super().__init__(rows, rows, block_steps=1, **settings)
        self.examples = SeededExamples(dataset, self.train_seed, "train")
        self.num_workers = num_workers

    def __iter__(self) -> Iterator[Batch]:
        epoch, position = self.position(self.first_step())
        first = epoch * self.batches_per_epoch
        places = [self.rows(first + number) for number in range(position, self.batches_per_epoch)]
        batches = [[(epoch, row) for row in rows.tolist()] for rows, _, _ in places]
        for number, split in enumerate(read(self.examples, batches, self.num_workers)):
            _, offset, size = places[number]
            yield Batch(split.points, split.labels, offset, size, first + position + number)


class DatasetSplitLoader:
    """A whole split in order, each example exactly once over all processes."""

    def __init__(
        self,
        split: ExampleSplit,
        num_workers: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        chunk_size: int = 512,
    ) -> None:
        part = shard(len(split), rank, world_size)
        rows = range(part.start, part.stop)
        self.first, self.num_points, self.chunk_size = part.start, len(split), chunk_size
        """As of ``SplitLoader``."""
        self.batches = [
            [(0, row) for row in rows[begin : begin + chunk_size]]
            for begin in range(0, max(len(rows), 1), chunk_size)
        ]
        self.split, self.num_workers = split, num_workers

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Inputs, Tensor]]:
        for split in read(self.split.examples, self.batches, self.num_workers):
            yield split.points, split.labels


def subset(dataset: Dataset[Any], rows: Tensor | None) -> Dataset[Any]:
    """Return the Dataset, or some rows of it."""
    return dataset if rows is None else torch.utils.data.Subset(dataset, rows.tolist())


def tensors_of(dataset: Dataset[Any]) -> tuple[Inputs, Tensor] | None:
    """Return the inputs and targets of a Dataset that only holds tensors; None for any other."""
    if isinstance(dataset, torch.utils.data.Subset):
        whole = tensors_of(dataset.dataset)
        if whole is None:
            return None
        return select(whole[0], list(dataset.indices)), whole[1][list(dataset.indices)]
    if isinstance(dataset, torch.utils.data.TensorDataset) and len(dataset.tensors) == 2:
        return dataset.tensors[0], dataset.tensors[1]
    return None
