"""Whether a split can be trained and measured on: checked once, where it comes from."""

from typing import Any

import torch
from torch import Tensor

from gaplab.config.data import SIZE_KEYS
from gaplab.errors import ConfigError


def check_split(name: str, split: Any, num_points: int | None, num_classes: int) -> None:
    """Check what a data builder returned for a split.

    Args:
        name: ``train``, ``val`` or ``test``; with ``data.split_mode=shared`` all of them at once.
        split: A ``Split``. Its points should be [P, ...], finite, or a dict of such tensors; its labels int64 [P] from
            0 to C - 1, or float [P] or [P, T], finite, where C is 0.
        num_points: How many were asked for, P; None where it is for the data to say.
        num_classes: C.

    Raises:
        ConfigError: For the first thing that is wrong; it names the split.
    """
    key, labels = f"data.{SIZE_KEYS[name]}", split.labels
    parts: dict[str, Tensor] = split.points if isinstance(split.points, dict) else {"": split.points}
    if not parts or any(part.ndim == 0 for part in parts.values()):
        raise ConfigError(f"data, {name}: expected tensors with one row a point.")
    number = len(next(iter(parts.values())))
    if num_points not in (None, number):
        raise ConfigError(
            f"{key}: expected the builder of the data to return the {num_points} {name} points that were asked "
            f"for, but it returned {number}. Return as many as asked for, or set {key}={number}."
        )
    if number == 0 and name != "val":
        raise ConfigError(f"data, {name}: expected at least one point, but there is none.")
    for part in parts.values():
        if len(part) != number:
            raise ConfigError(
                f"data, {name}: expected parts of equal length, but got {[len(part) for part in parts.values()]}."
            )
    if len(labels) != number or (labels.shape != (number,) and num_classes > 0):
        raise ConfigError(
            f"data, {name}: expected a label for each of the {number} points, but got labels of shape "
            f"{list(labels.shape)}."
        )
    if num_classes > 0:
        _check_classes(name, labels, num_classes)
    else:
        _check_finite(name, "targets", labels)
    for part in parts.values():
        _check_finite(name, "points", part)


def _check_classes(name: str, labels: Tensor, num_classes: int) -> None:
    if labels.dtype != torch.int64:
        raise ConfigError(
            f"data, {name}: expected labels that are whole numbers (torch.int64), but got {labels.dtype}."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ConfigError(
            f"data, {name}: expected labels from 0 to {num_classes - 1}, as the builder says that there are "
            f"{num_classes} classes, but got {int(labels.min())} to {int(labels.max())}."
        )


def _check_finite(name: str, what: str, values: Tensor) -> None:
    # Its ends show NaN and infinity, and are found in a twentieth of the time that a look at each number takes.
    if values.is_floating_point() and values.numel() and not torch.stack(values.aminmax()).isfinite().all():
        finite = values.isfinite().flatten(1).all(dim=1) if values.ndim > 1 else values.isfinite()
        row = int(finite.logical_not().nonzero()[0])
        raise ConfigError(
            f"data, {name}: expected finite numbers, but {int(finite.logical_not().sum())} of {len(values)} "
            f"{what} have NaN or infinity, the first of them in row {row}."
        )
