"""Splits that can be trained on are let through, others are named."""

import pytest
import torch

from gaplab.data.splits import Split
from gaplab.data.validity import check_split
from gaplab.errors import ConfigError


@pytest.mark.parametrize("shape", [(5, 0), (5, 2), (5, 3, 2)])
def test_finite_points_of_any_shape_pass(shape: tuple[int, ...]) -> None:
    check_split("train", Split(torch.zeros(shape), torch.zeros(5, dtype=torch.int64)), 5, 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("shape", [(5, 2), (5, 3, 2)])
def test_the_first_row_that_is_not_finite_is_named(value: float, shape: tuple[int, ...]) -> None:
    points = torch.zeros(shape)
    points[3, -1] = points[4, 0] = value
    with pytest.raises(
        ConfigError, match=r"2 of 5 points have NaN or infinity, the first of them in row 3\."
    ):
        check_split("train", Split(points, torch.zeros(5, dtype=torch.int64)), 5, 1)
