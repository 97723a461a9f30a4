"""Blocks of batches: what is in them, where they end, and how processes share them."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from gaplab.config.evaluations import EvenlySpaced, log_spaced
from gaplab.data.loader import STEPS_PER_BLOCK, Batch, BlockEnds, SplitLoader, TrainLoader, shard
from gaplab.randomness import epoch_order


def make_loader(num_points: int = 10, start: int = 0, **changes: Any) -> TrainLoader:
    """A loader whose labels are the numbers of the points."""
    arguments = {"batch_size": 4, "num_steps": 12, "evaluation_steps": (5, 10, 12), "train_seed": 0}
    labels = torch.arange(num_points)
    points = torch.stack((labels, -labels), dim=1).float()
    return TrainLoader(points, labels, first_step=lambda: start, **(arguments | changes))


def flatten(loader: TrainLoader) -> list[Batch]:
    return [batch for block in loader for batch in block]


def test_every_epoch_shows_every_point_once_in_the_order_of_its_seed() -> None:
    batches = flatten(make_loader())
    assert [batch.step for batch in batches] == list(range(12))
    assert [len(batch.labels) for batch in batches[:3]] == [4, 4, 2], "the last batch keeps the remainder"
    assert [batch.global_batch_size for batch in batches[:3]] == [4, 4, 2]
    for epoch in range(4):
        seen = torch.cat([batch.labels for batch in batches[3 * epoch : 3 * epoch + 3]])
        assert torch.equal(seen, epoch_order(10, 0, epoch))
        assert sorted(seen.tolist()) == list(range(10))
    for batch in batches:
        assert torch.equal(batch.points[:, 0], batch.labels.float()), "points and labels stay together"


def test_order_differs_between_epochs_and_seeds() -> None:
    first, second = epoch_order(100, 0, 0), epoch_order(100, 0, 1)
    assert not torch.equal(first, second)
    assert not torch.equal(first, epoch_order(100, 1, 0))
    assert torch.equal(first, epoch_order(100, 0, 0))


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_processes_share_each_batch_without_loss_or_repetition(world_size: int, batch_size: int) -> None:
    whole = flatten(make_loader(batch_size=batch_size))
    parts = [
        flatten(make_loader(batch_size=batch_size, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    for expected, *pieces in zip(whole, *parts, strict=True):
        union = torch.cat([piece.labels for piece in pieces])
        if batch_size < 10:
            assert torch.equal(union, expected.labels)
        else:  # one process takes a full batch as it lies
            assert sorted(union.tolist()) == sorted(expected.labels.tolist())
        sizes = [len(piece.labels) for piece in pieces]
        assert max(sizes) - min(sizes) <= 1
        assert [piece.offset for piece in pieces] == [sum(sizes[:rank]) for rank in range(world_size)]
        assert {piece.global_batch_size for piece in pieces} == {len(expected.labels)}


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_shards_cut_a_range_into_neighbours(world_size: int) -> None:
    for num_points in (0, 1, 5, 100):
        parts = [shard(num_points, rank, world_size) for rank in range(world_size)]
        assert [i for part in parts for i in range(num_points)[part]] == list(range(num_points))


@pytest.mark.parametrize(
    ("num_steps", "between"), [(12, 5), (1000, 120), (1000, 1), (49, 50), (230, 60), (7, 7)]
)
def test_blocks_end_where_an_evaluation_is_due(num_steps: int, between: int) -> None:
    loader = make_loader(num_steps=num_steps, evaluation_steps=EvenlySpaced(num_steps, between))
    blocks = list(loader)
    assert len(blocks) == len(loader)
    assert min(map(len, blocks)) >= 1
    assert max(map(len, blocks)) <= STEPS_PER_BLOCK
    ends = [block.steps[-1] + 1 for block in blocks]
    assert ends[-1] == num_steps
    per_evaluation = -(-between // STEPS_PER_BLOCK)
    due = list(range(between, num_steps + 1, between))
    assert ends[per_evaluation - 1 :: per_evaluation][: len(due)] == due


@pytest.mark.parametrize("num_steps", [1, 9, 10, 11, 60, 500, 12_345])
def test_blocks_end_at_log_spaced_evaluations(num_steps: int) -> None:
    due = log_spaced(num_steps)
    ends = [
        0,
        *(block.steps[-1] + 1 for block in make_loader(num_steps=num_steps, evaluation_steps=due)),
    ]
    assert set(due) <= set(ends)
    for begin, end in pairwise(due):
        inside = [b - a for a, b in pairwise(ends) if begin <= a < end]
        assert len(inside) == -(-(end - begin) // STEPS_PER_BLOCK)
        assert max(inside) - min(inside) <= 1
    assert set(log_spaced(num_steps // 2 or 1)[:-1]) <= set(due), "a longer run is measured at the same steps"


@pytest.mark.parametrize("start", [0, 1, 5, 7, 11, 12])
def test_a_resumed_loader_goes_on_where_the_run_stopped(start: int) -> None:
    rest = flatten(make_loader(start=start))
    expected = flatten(make_loader())[start:]
    assert [batch.step for batch in rest] == [batch.step for batch in expected]
    assert all(torch.equal(a.labels, b.labels) for a, b in zip(rest, expected, strict=True))
    loader = make_loader()
    assert loader.position(start) == (0, sum(end <= start for end in (5, 10, 12)))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_split_loader_serves_each_point_once_in_order(world_size: int) -> None:
    labels = torch.arange(10)
    points = torch.stack((labels, labels), dim=1).float()
    seen = []
    for rank in range(world_size):
        loader = SplitLoader(points, labels, rank=rank, world_size=world_size, chunk_size=3)
        chunks = list(loader)
        assert len(chunks) == len(loader)
        assert all(len(part) <= 3 and torch.equal(part[:, 0].long(), own) for part, own in chunks)
        seen += [label for _, own in chunks for label in own.tolist()]
    assert seen == list(range(10))


@pytest.mark.parametrize("num_steps", [1, 7, 12, 30])
@pytest.mark.parametrize("steps_between", [1, 4, 5, 12])
@pytest.mark.parametrize("block_steps", [2, 3, 50])
def test_ends_of_blocks_follow_from_their_number(
    num_steps: int, steps_between: int, block_steps: int
) -> None:
    ends = BlockEnds(num_steps, EvenlySpaced(num_steps, steps_between), block_steps)
    listed = [ends[number] for number in range(len(ends) + 1)]
    assert listed[0] == 0
    assert listed[-1] == num_steps
    assert {*range(0, num_steps, steps_between)} <= {*listed}, "a block ends at every evaluation"
    lengths = [end - begin for begin, end in pairwise(listed)]
    assert min(lengths) > 0
    assert max(lengths) <= block_steps
    for step in range(num_steps + 1):
        assert ends.up_to(step) == sum(end <= step for end in listed[1:])


def test_a_run_of_any_length_has_room_for_its_blocks() -> None:
    loader = make_loader(num_steps=10**12, start=10**12 - 7, evaluation_steps=EvenlySpaced(10**12, 5))
    assert len(loader) == 2 * 10**11
    assert [batch.step for batch in flatten(loader)] == list(range(10**12 - 7, 10**12))
