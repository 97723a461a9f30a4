"""Capacity measures of many equal networks at once."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gaplab.callbacks.measures import measure_noise
from gaplab.data.splits import Split
from gaplab.metrics.capacity.table import stacked_capacity_measures

MEASURED_AT_ONCE = 4
"""Networks whose measures are computed together; more would leave the cache of a CPU."""
Weights = dict[str, Tensor]


def measure_stacked(
    network: nn.Module, weights: Sequence[Weights], initial: Sequence[Weights], train: Sequence[Split]
) -> list[dict[str, float]]:
    """The capacity measures at level ``capacity`` of equal networks at once: what each would get alone.

    Args:
        network: Gives the shape.
        weights: Parameters of each network, and
        initial: those before training.
        train: Training points of each; their numbers may differ.
    """
    network = copy.deepcopy(network).eval()
    found: list[dict[str, float]] = [{} for _ in weights]
    for size in {len(split) for split in train}:
        rows = [index for index, split in enumerate(train) if len(split) == size]
        table = stacked_capacity_measures(
            network,
            _stack([weights[row] for row in rows]),
            _stack([initial[row] for row in rows]),
            torch.stack([train[row].points for row in rows]),
            torch.stack([train[row].labels for row in rows]),
            generator=measure_noise(train[rows[0]].points.device),
            chunk_size=MEASURED_AT_ONCE,
        )
        for name, values in table.items():
            for row, value in zip(rows, values.tolist(), strict=True):
                found[row][name] = value
    return found


def _stack(tables: Sequence[Weights]) -> Weights:
    return {name: torch.stack([table[name] for table in tables]) for name in tables[0]}
