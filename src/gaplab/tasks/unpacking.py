"""Points and labels of the batches that ordinary DataLoaders hand out."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gaplab.errors import ConfigError

LABELS = ("labels", "label", "targets", "target", "y")
"""Names under which a batch that is a dict has its labels."""


def points_and_labels(batch: Any) -> tuple[Any, Tensor]:
    """Return points and labels of a pair, of a tensor or one-element list without labels, or of a dict.

    A dict has its labels under one of ``LABELS``; a single other entry is the points, several are a dict of points.
    Labels that are not there are zeros, int64 [B].

    Raises:
        ConfigError: If the batch is none of these.
    """
    if isinstance(batch, Tensor):
        batch = (batch,)
    if isinstance(batch, Mapping):
        name = next((name for name in LABELS if name in batch), None)
        points = {key: value for key, value in batch.items() if key != name}
        inputs = next(iter(points.values())) if len(points) == 1 else points
        batch = (inputs,) if name is None else (inputs, batch[name])
    if not isinstance(batch, tuple | list) or len(batch) == 0:
        raise ConfigError(
            "batch: expected points and labels as a pair, a dict, or a tensor of points alone, but got "
            f"{type(batch).__name__}. Return (points, labels) from the data set."
        )
    points = batch[0]
    if len(batch) > 1:
        return points, batch[1]
    first = next(iter(points.values())) if isinstance(points, Mapping) else points
    return points, torch.zeros(len(first), dtype=torch.int64, device=first.device)
