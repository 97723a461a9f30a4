"""What tasks that draw samples ask of the data: a law that fresh points come from, and enough points."""

from typing import Any

from gaplab.config.checks import check, check_at_least
from gaplab.config.sections import Sections
from gaplab.errors import ConfigError

SMALLEST_SPLIT = 100
"""Points with which generated ones are compared."""


def scale_of_law(task: str, data: Any) -> float:
    """Return the standard deviation of the training points over all coordinates, by which a sampler divides them.

    Raises:
        ConfigError: If there is no law to draw from, points are no vectors, or they have no spread.
    """
    if getattr(data, "draw", None) is None or not isinstance(data.example_shape, tuple):
        raise ConfigError(
            f"task={task}: expected data with a law that a perfect sampler can draw from, but these are examples. "
            "Take data=ring, data=grid, data=spirals, or a law of your own."
        )
    if len(data.example_shape) != 1:
        raise ConfigError(
            f"task={task}: expected points that are vectors [P, D], but a point has the shape {data.example_shape}."
        )
    scale = float(data.splits["train"].points.std())
    if not scale > 0:
        raise ConfigError("data: expected points with some spread, but all training coordinates are equal.")
    return scale


def check_law(config: Sections) -> None:
    """Raise ``ConfigError`` if the data are published points only, or too few to be compared with."""
    data = config.data
    if not data.has_law:
        raise ConfigError(
            "data: expected a law to draw from, as a generator is compared with fresh draws, but of this set "
            "there are only the published points."
        )
    hint = "Samples are compared with them."
    for key in ("num_points", "num_test_points"):
        if getattr(data, key) is not None:
            check_at_least(f"data.{key}", getattr(data, key), SMALLEST_SPLIT, hint)
    if data.num_folds and data.num_points is not None:
        check(
            data.num_points - data.num_train_points >= SMALLEST_SPLIT <= data.num_train_points,
            "data.num_folds",
            f"folds of at least {SMALLEST_SPLIT} points",
            data.num_folds,
            hint,
        )
    elif data.num_val_points:
        check_at_least("data.num_val_points", data.num_val_points, SMALLEST_SPLIT, f"{hint} Or 0 for none.")
