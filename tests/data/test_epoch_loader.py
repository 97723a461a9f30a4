"""Loaders of any kind continue where a run stood, in an order that a seed and the epoch decide."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, WeightedRandomSampler

from gaplab.data.epoch_loader import EpochLoader


class Noisy(Dataset[Any]):
    def __len__(self) -> int:
        return 23

    def __getitem__(self, index: int) -> tuple[int, float, float]:
        return index, float(torch.rand(())), random.random()


class NoisyStream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return (Noisy()[index] for index in range(23))


def batches(loader: Any, epoch: int, done: int = 0, **settings: Any) -> list[list[Tensor]]:
    settings = {"seed": 3} | settings
    return list(EpochLoader(loader, position=lambda length: (epoch, done), **settings))


def same(one: list[list[Tensor]], other: list[list[Tensor]]) -> bool:
    left, right = ([[torch.as_tensor(part) for part in batch] for batch in found] for found in (one, other))
    return [*map(len, left)] == [*map(len, right)] and all(
        torch.equal(a, b)
        for ours, theirs in zip(left, right, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: DataLoader(Noisy(), batch_size=4, shuffle=True),
        lambda: DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=2),
        lambda: DataLoader(Noisy(), batch_size=4, sampler=WeightedRandomSampler([1.0] * 23, 15)),
        lambda: DataLoader(Noisy(), batch_size=4, shuffle=True, generator=torch.Generator()),
        lambda: DataLoader(Noisy(), batch_sampler=[[3, 1], [7], [2, 2, 9]]),
        lambda: DataLoader(Noisy(), batch_size=None, shuffle=True),
        lambda: DataLoader(NoisyStream(), batch_size=4),
        lambda: [[torch.tensor(number)] for number in range(5)],
    ],
)
def test_any_loader_continues_within_an_epoch(make: Any) -> None:
    whole = batches(make(), epoch=2)
    torch.rand(3)
    random.random()
    assert same(whole[2:], batches(make(), epoch=2, done=2))
    if not isinstance(getattr(make(), "dataset", None), IterableDataset):
        assert len(EpochLoader(make(), seed=3, position=lambda length: (0, 0))) == len(whole)


def test_order_and_noise_follow_seed_and_epoch() -> None:
    loader = DataLoader(Noisy(), batch_size=4, shuffle=True)
    first = batches(loader, 0)
    assert sorted(torch.cat([batch[0] for batch in first]).tolist()) == list(range(23))
    for other in (batches(loader, 1), batches(loader, 0, seed=4)):
        assert not torch.equal(first[0][0], other[0][0])
        assert not torch.equal(first[0][1], other[0][1])


def test_fetching_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    batches(DataLoader(Noisy(), batch_size=4, shuffle=True), 0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("drop_last", [False, True])
def test_processes_share_an_epoch_as_lightning_shares_it(drop_last: bool) -> None:
    loader = DataLoader(Noisy(), batch_size=4, shuffle=True, drop_last=drop_last)
    shares = [batches(loader, 0, rank=rank, world_size=2) for rank in range(2)]
    assert [len(share) for share in shares] == [3, 3]
    assert len(EpochLoader(loader, seed=3, position=lambda length: (0, 0), world_size=2)) == 3
    seen = torch.cat([batch[0] for share in shares for batch in share]).tolist()
    assert set(seen) == set(range(23))
    assert len(seen) == 24  # one point comes twice, so that both take equally many steps


def test_workers_that_stay_are_kept_over_epochs() -> None:
    loader = DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=1, persistent_workers=True)
    position = [0, 0]
    wrapped = EpochLoader(loader, seed=3, position=lambda length: (position[0], position[1]))
    first = list(wrapped)
    position[:] = [1, 0]
    assert same(list(wrapped), batches(DataLoader(Noisy(), batch_size=4, shuffle=True), 1))
    assert same(first, batches(DataLoader(Noisy(), batch_size=4, shuffle=True), 0))
    assert wrapped.batch_size == 4
