"""Whether a drawn split can be trained and measured on: checked once, where it comes from."""

import torch
from torch import Tensor

from gaplab.errors import ConfigError

SIZE_KEYS = {"train": "data.num_points", "val": "data.num_val_points", "test": "data.num_test_points"}
"""The key that says how many points a split should have."""


def check_split(name: str, points: Tensor, labels: Tensor, num_points: int, num_classes: int) -> None:
    """Check what a data builder returned for a split.

    Args:
        name: ``train``, ``val`` or ``test``; with ``data.split_mode=shared`` all of them at once.
        points: Should be [P, ...], finite.
        labels: Should be int64 [P], from 0 to C - 1; without classes finite numbers [P] or [P, ...].
        num_points: How many were asked for, P.
        num_classes: C; 0 where targets are real numbers.

    Raises:
        ConfigError: For the first thing that is wrong; it names the split.
    """
    key = SIZE_KEYS[name]
    if len(points) != num_points:
        raise ConfigError(
            f"{key}: expected the builder of the data to return the {num_points} {name} points that were asked "
            f"for, but it returned {len(points)}. Return as many as asked for, or set {key}={len(points)}."
        )
    if num_classes == 0:
        if len(labels) != len(points) or not labels.is_floating_point() or not labels.isfinite().all():
            raise ConfigError(
                f"data, {name}: expected {len(points)} finite real targets, as the builder says that there are no "
                f"classes, but got {labels.dtype} of shape {list(labels.shape)}."
            )
    elif labels.shape != (len(points),):
        raise ConfigError(
            f"data, {name}: expected a label for each of the {len(points)} points, but got labels of shape "
            f"{list(labels.shape)}."
        )
    elif labels.dtype != torch.int64:
        raise ConfigError(
            f"data, {name}: expected labels that are whole numbers (torch.int64), but got {labels.dtype}."
        )
    elif len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ConfigError(
            f"data, {name}: expected labels from 0 to {num_classes - 1}, as the builder says that there are "
            f"{num_classes} classes, but got {int(labels.min())} to {int(labels.max())}."
        )
    finite = points.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        row = int(finite.logical_not().nonzero()[0])
        raise ConfigError(
            f"data, {name}: expected finite numbers, but {int(finite.logical_not().sum())} of {len(points)} "
            f"points have NaN or infinity, the first of them in row {row}."
        )
