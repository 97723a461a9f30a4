"""Distances between all points of two sets, a few rows at a time, so that they fit the processor's cache."""

from collections.abc import Iterator

import torch
from torch import Tensor

AT_ONCE = 2**17
"""Distances of a block."""


def squared_distances(left: Tensor, right: Tensor) -> Iterator[Tensor]:
    """Yield blocks [r, R] of the squared Euclidean distances from points [P, D] to points [R, D], in their order.

    By differences of coordinates: the faster matrix product loses digits of near points. Each block is the caller's to
    overwrite.

    Raises:
        ValueError: If the dimensions differ.
    """
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            f"both point sets need the same dimension, got {list(left.shape)} and {list(right.shape)}"
        )
    columns = right.T.contiguous()
    for rows in left.split(max(AT_ONCE // max(len(right), 1), 1)):
        total = (rows[:, :1] - columns[0]).square_()
        for position in range(1, left.shape[1]):
            total += (rows[:, position, None] - columns[position]).square_()
        yield total


def pairwise_distances(left: Tensor, right: Tensor) -> Tensor:
    """Return the Euclidean distances [P, R] from points [P, D] to points [R, D]; see ``squared_distances``."""
    found = left.new_empty(len(left), len(right))
    row = 0
    for block in squared_distances(left, right):
        torch.sqrt(block, out=found[row : row + len(block)])
        row += len(block)
    return found
