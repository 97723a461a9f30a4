"""Distances between all points of two sets, a few rows at a time, which fit the processor's cache; nearest points."""

from collections.abc import Iterator
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

AT_ONCE = 2**17
"""Distances of a block."""
MOST_TREE_DIMENSIONS = 6
"""Dimensions up to which a tree finds neighbours sooner than all distances do."""


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


class NearestPoints:
    """Finds the nearest of some points [R, D]; the tree that it needs is built once.

    By a tree where SciPy is installed and the points are on a processor and of few dimensions; else by all distances.
    """

    def __init__(self, references: Tensor) -> None:
        self.references = references

    def indices(self, points: Tensor, number: int) -> Tensor:
        """Return the indices [P, k] of the k nearest references of each point [P, D], nearest first.

        Raises:
            ValueError: If there are fewer references than asked for, or the dimensions differ.
        """
        references = self.references
        if number > len(references):
            raise ValueError(f"expected at least {number} references, got {len(references)}")
        few = points.shape[1] == references.shape[1] <= MOST_TREE_DIMENSIONS
        if few and points.device.type == "cpu" and find_spec("scipy"):
            # By their numbers in a list, because a plain number would leave the second dimension out.
            wanted = list(range(1, number + 1))
            return torch.as_tensor(self._tree.query(points.numpy(), k=wanted)[1])
        blocks = squared_distances(points, references)
        return torch.cat([block.topk(number, dim=1, largest=False).indices for block in blocks])

    def squared(self, points: Tensor, number: int) -> Tensor:
        """Return the squared distances [P, k] from points [P, D] to their k nearest references, in increasing order.

        The same numbers as in ``squared_distances``, to the last digit. Raises what ``indices`` does.
        """
        chosen = self.references[self.indices(points, number)]
        total = (points[:, None, 0] - chosen[..., 0]).square_()
        for position in range(1, points.shape[1]):
            total += (points[:, None, position] - chosen[..., position]).square_()
        return total

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import KDTree

        return KDTree(self.references.numpy())
