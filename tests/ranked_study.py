"""A small study whose ranking is known by hand."""

import itertools

import numpy as np

from gaplab.metrics.rankings import (
    Table,
)

HYPERPARAMETERS = ["width", "lr", "size"]


def study(num_seeds: int = 4) -> Table:
    """3 × 2 × 2 configurations with ties in the measure, and one run missing."""
    random = np.random.default_rng(0)
    rows = list(itertools.product([8, 16, 32], ["high", "low"], [100, 200], range(num_seeds)))[:-1]
    width, lr, size, seed = (np.array(column) for column in zip(*rows, strict=True))
    gap = 0.2 / np.sqrt(size / 100) + 0.001 * width + 0.03 * random.standard_normal(len(rows))
    measure = np.round(np.sqrt(width / size) * 10 + random.standard_normal(len(rows)), 0)
    return {"width": width, "lr": lr, "size": size, "seed": seed, "gap": gap, "measure": measure}


def codes(table: Table, names: list[str]) -> list[np.ndarray]:
    return [np.unique(table[name], return_inverse=True)[1] for name in names]
