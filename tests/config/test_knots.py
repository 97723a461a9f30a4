"""Numbers that follow knots."""

import math
from typing import Any

import pytest

from gaplab.config.compose import compose_config
from gaplab.config.knots import check_knots, value_at
from gaplab.config.optimizer import AdamConfig, Schedule
from gaplab.errors import ConfigError
from gaplab.tasks.optimizers import schedule_factor


def test_logarithms_are_straight_between_positive_values_and_values_beside_a_zero() -> None:
    knots = [[0.2, 1.0], [0.4, 0.01], [0.6, 0.0], [1, 2.0]]
    found = [value_at(knots, progress) for progress in (0, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5)]
    expected = [1, 1, 0.01**0.25, 0.1, 0.01, 0.005, 0, 1, 2, 2]
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert value_at([[0.5, 3.0]], 0.1) == value_at([[0.5, 3.0]], 0.9) == 3


@pytest.mark.parametrize(
    "knots",
    [[[0, 1], [0, 2]], [[0.5, 1], [0.2, 1]], [[0, -1]], [[2, 1]], [[0]], [0, 1], [[0, "x"]], [[0, math.nan]]],
)
def test_what_is_no_knot_is_refused(knots: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"some.key: expected pairs \[share of the steps, value\].*An example"
    ):
        check_knots("some.key", knots)


def test_a_learning_rate_follows_them_after_its_warmup() -> None:
    config = AdamConfig(schedule=Schedule.knots, lr_knots=[[0, 1], [1, 0.01]], warmup_steps=10)
    factors = [schedule_factor(config, step, 110) for step in (0, 9, 10, 60, 110)]
    assert factors == pytest.approx([0.1, 1, 1, 0.1, 0.01])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.schedule=knots"], "optimizer.lr_knots: expected knots, .*but got"),
        (
            ["optimizer.lr_knots=[[0,1]]"],
            r"optimizer.lr_knots: expected \[\] unless optimizer.schedule=knots",
        ),
    ],
)
def test_knots_and_their_schedule_come_together(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_config(words)
