"""Whether a network fits the data: seen on a few examples before anything is written."""

from typing import Any

import torch
from torch import Tensor, nn

from gaplab.data.splits import converted, shape_of
from gaplab.errors import ConfigError


def check_outputs(network: nn.Module, data: Any, shape: tuple[int, ...]) -> None:
    """Check that a network takes the points of ``data`` (a ``PointDataModule``) and returns [P, *shape].

    It sees two of them in eval mode, so that running means and the like stay as they are.

    Raises:
        ConfigError: If not.
    """
    points, name = data.example.points, type(network).__name__
    parameter = next(network.parameters(), None)
    dtype = None if parameter is None or isinstance(parameter, nn.UninitializedParameter) else parameter.dtype
    points = converted(points, lambda part: part.to(dtype) if part.is_floating_point() else part)
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            outputs = network(points)
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(
            f"network: expected {name} to take points of the shape {shape_of(points)}, but it says: {text}. "
            "A builder may ask for example_shape and in_features by name."
        ) from error
    finally:
        network.train(training)
    wanted = [len(data.example), *shape]
    if not isinstance(outputs, Tensor) or list(outputs.shape) != wanted:
        came = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ConfigError(
            f"network: expected {name} to return {wanted} for {wanted[0]} points, but it returned {came}. "
            "A builder may ask for out_features by name."
        )
