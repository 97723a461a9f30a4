"""Anybody's training loader as a function of a seed and the number of a batch, so that a run can continue anywhere.

The order of an epoch, the batches before a position and what an augmentation draws for a batch follow from the seed and
numbers alone. A map-style data set is continued at once; an iterable one is replayed up to the position.
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler, IterableDataset

from gaplab.randomness import stream_seed

Position = Callable[[int | None], tuple[int, int]]
"""Given the batches of an epoch (None: unknown), tells the epoch and how many of its batches are done."""


class EpochLoader:
    """Batches of a loader in an order of its own for every epoch, from the position at which a run stands.

    Attributes that are not here are those of the loader, ``original``.

    Args:
        original: A ``DataLoader`` with any sampler, or another iterable of batches.
        seed: Of order and augmentation.
        position: Asked at the first batch of every epoch.
        rank: Number of this process.
        world_size: Number of processes. A map-style data set is shared out as by ``DistributedSampler``, which repeats
            a few points where their number is no multiple; iterable data share themselves out.
    """

    def __init__(
        self, original: Any, *, seed: int, position: Position, rank: int = 0, world_size: int = 1
    ) -> None:
        self.original = original
        self.seed = seed
        self.position = position
        self.rank, self.world_size = rank, world_size
        self.is_indexed = isinstance(original, DataLoader) and not isinstance(
            original.dataset, IterableDataset
        )
        self._batches: list[tuple[int, Any]] = []
        self._inner: DataLoader[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "original":
            raise AttributeError(name)
        return getattr(self.original, name)

    def __len__(self) -> int:
        if not self.is_indexed or self.world_size == 1 or self._is_shared_out:
            return len(self.original)
        loader = self.original
        if not self._cuts_batches:
            return -(-len(loader) // self.world_size)
        own = -(-len(loader.sampler) // self.world_size)
        if loader.batch_sampler is None:
            return own
        return own // loader.batch_size if loader.drop_last else -(-own // loader.batch_size)

    @property
    def _is_shared_out(self) -> bool:
        return isinstance(self.original.sampler, DistributedSampler)

    @property
    def _cuts_batches(self) -> bool:
        """Whether batches are cut from the order of a sampler, which a batch sampler of the user's need not do."""
        return self.original.batch_sampler is None or type(self.original.batch_sampler) is BatchSampler

    def __iter__(self) -> Iterator[Any]:
        try:
            length = len(self)
        except (TypeError, NotImplementedError):
            length = None
        epoch, done = self.position(length)
        if not self.is_indexed:
            yield from self._replayed(epoch, done)
            return
        order = self.order(epoch)
        self._batches[:] = [
            (self._seed_of(epoch, number), order[number]) for number in range(done, len(order))
        ]
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "workers", epoch, self.rank))
        if self._inner is None:
            loader = self.original
            self._inner = DataLoader(
                SeededItems(loader.dataset, loader.collate_fn),
                batch_sampler=self._batches,  # type: ignore[arg-type]  # any iterable of lists of indices
                collate_fn=as_it_is,
                num_workers=loader.num_workers,
                pin_memory=loader.pin_memory,
                timeout=loader.timeout,
                worker_init_fn=loader.worker_init_fn,
                multiprocessing_context=loader.multiprocessing_context,
                prefetch_factor=loader.prefetch_factor,
                persistent_workers=loader.persistent_workers,
                generator=generator,
            )
        self._inner.generator = generator
        yield from self._inner

    def order(self, epoch: int) -> list[Any]:
        """Return this process's batches of indices in an epoch; single indices where a loader makes no batches."""
        loader = self.original
        with _drawing_from(stream_seed(self.seed, "order", epoch)):
            for owner in (loader, loader.sampler, loader.batch_sampler):
                if isinstance(own := getattr(owner, "generator", None), torch.Generator):
                    own.manual_seed(stream_seed(self.seed, "order", epoch))
                if callable(set_epoch := getattr(owner, "set_epoch", None)):
                    set_epoch(epoch)
            chosen: list[Any] = list(loader.sampler if self._cuts_batches else loader.batch_sampler)
        if self.world_size > 1 and not self._is_shared_out:
            share = -(-len(chosen) // self.world_size)
            chosen = (chosen * self.world_size)[: share * self.world_size][self.rank :: self.world_size]
        if not self._cuts_batches or loader.batch_sampler is None:
            return chosen
        size, end = loader.batch_size, len(chosen)
        if loader.drop_last:
            end -= end % size
        return [chosen[begin : begin + size] for begin in range(0, end, size)]

    def _replayed(self, epoch: int, done: int) -> Iterator[Any]:
        if isinstance(getattr(self.original, "generator", None), torch.Generator):
            self.original.generator.manual_seed(stream_seed(self.seed, "order", epoch))
        with _drawing_from(stream_seed(self.seed, "order", epoch, self.rank)):
            iterator = iter(self.original)
        number = 0
        while True:
            with _drawing_from(self._seed_of(epoch, number)):
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
            number += 1
            if number > done:
                yield batch

    def _seed_of(self, epoch: int, number: int) -> int:
        return stream_seed(self.seed, "batch", epoch, number, self.rank)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the position says it all. Lightning asks loaders that can be resumed for it."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what ``state_dict`` returned."""


class SeededItems(Dataset[Any]):
    """Fetches and collates a whole batch, with the global generators seeded for it."""

    def __init__(self, dataset: Any, collate: Callable[[Any], Any]) -> None:
        self.dataset, self.collate = dataset, collate

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, request: tuple[int, Any]) -> Any:
        seed, chosen = request
        with _drawing_from(seed):
            if not isinstance(chosen, list):
                return self.collate(self.dataset[chosen])
            fetch = getattr(self.dataset, "__getitems__", None)
            return self.collate(fetch(chosen) if fetch else [self.dataset[index] for index in chosen])


def as_it_is(batch: Any) -> Any:
    return batch


@contextlib.contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Seed the generators of the CPU for the length of a block; workers must not touch a GPU."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
