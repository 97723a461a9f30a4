"""Intervals over seeds stay in the range of their quantity."""

import math

import pytest
from scipy import stats

from gaplab.reports.intervals import interval, interval_text
from gaplab.reports.ledger import Summary


def test_an_interval_is_cut_to_what_is_possible() -> None:
    modes = Summary([8.0, 8.0, 2.0, 1.0, 8.0])
    low, high = interval(modes, "modes/captured", most=8.0)
    expected = stats.t.interval(0.95, 4, loc=modes.mean, scale=stats.sem(modes.values))
    assert low == pytest.approx(expected[0])
    assert high == 8.0 < expected[1]
    assert interval(Summary([1.0, 1.0, 1.0, 1.0, 0.5]), "accuracy/test")[1] == 1.0
    assert interval(Summary([0.0, 0.0, 0.0, 0.0, 0.5]), "loss/test")[0] == 0.0
    assert interval(Summary([0.0, 0.0, 0.0, 0.0, 0.5]), "gap/loss")[0] < 0
    assert interval(Summary([0.0, 0.0, 0.0, 0.0, 0.5]), "loss/discriminator_test")[0] < 0
    for name in (
        "distance/c_t",
        "distance/nearest_split",
    ):  # below 0 where samples are nearer to training points
        assert interval(Summary([-0.3, -0.2, -0.1, -0.2, -0.3]), name)[0] < -0.22


def test_few_values_stand_for_themselves() -> None:
    assert interval_text(Summary([0.7, 0.5, 0.6, 0.4]), "accuracy/test") == "0.4000, 0.5000, 0.6000, 0.7000"
    assert " to " in interval_text(Summary([0.7, 0.5, 0.6, 0.4, 0.4]), "accuracy/test", math.inf)
