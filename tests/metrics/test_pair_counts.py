"""Scores of many measures at once against the functions for a single one."""

import math

import numpy as np
import pytest
from scipy import stats

from gaplab.metrics.pair_counts import count_pairs
from gaplab.metrics.ranking_information import conditional_information
from gaplab.metrics.rankings import Table, kendall_tau, rank_measure
from gaplab.metrics.study_scores import jackknife_error, share_between_settings, study_scores
from ranked_study import HYPERPARAMETERS, codes, study


def two_measures() -> Table:
    table = study()
    table["other"] = np.random.default_rng(1).standard_normal(len(table["gap"])) + 20 * table["gap"]
    return table


def of_seeds(table: Table, kept: list[int]) -> Table:
    rows = np.isin(table["seed"], kept)
    return {name: column[rows] for name, column in table.items()}


@pytest.mark.parametrize("kept", [[0, 1, 2, 3], [0, 2, 3], [1]])
@pytest.mark.parametrize("within", [None, "size"])
def test_counts_by_seed_give_tau_and_information_of_any_seeds(kept: list[int], within: str | None) -> None:
    table = two_measures()
    axes = [name for name in HYPERPARAMETERS if name != within]
    counts = count_pairs(
        {name: table[name] for name in ("measure", "other")},
        table["gap"],
        codes(table, axes),
        table["seed"],
        within=None if within is None else table[within],
        chunk_size=5,
    )
    part = of_seeds(table, kept)
    column = None if within is None else part[within]
    for name in ("measure", "other"):
        expected = kendall_tau(part[name], part["gap"], within=column)
        assert counts.tau(name, kept)[1] == pytest.approx(expected)
        information = conditional_information(part[name], part["gap"], codes(part, axes), within=column)
        assert counts.information(name, kept) == pytest.approx(information)


def test_plain_tau_divides_by_all_pairs_and_tau_b_is_that_of_scipy() -> None:
    # Ties: of six pairs four agree, one is tied in the measure, one in the gap.
    measure, gap = np.array([1.0, 1, 2, 3]), np.array([1.0, 2, 3, 3])
    counts = count_pairs({"m": measure}, gap, [], np.zeros(4, dtype=np.intp))
    plain, tau_b = counts.tau("m", [0])
    assert plain == pytest.approx(4 / 6)
    assert tau_b == pytest.approx(stats.kendalltau(measure, gap).statistic)


def test_a_constant_measure_has_no_tau_b() -> None:
    counts = count_pairs({"m": np.ones(4)}, np.arange(4.0), [], np.zeros(4, dtype=np.intp))
    plain, tau_b = counts.tau("m", [0])
    assert plain == 0
    assert math.isnan(tau_b)


def test_scores_are_those_of_one_measure_at_a_time() -> None:
    table = two_measures()
    scores = study_scores(
        table, HYPERPARAMETERS, ["measure", "other"], "gap", "seed", num_test_points=10_000, size_axis="size"
    )
    for measure in ("measure", "other"):
        alone = rank_measure(table, HYPERPARAMETERS, measure, "gap", num_test_points=10_000, size_axis="size")
        for name, value in alone.items():
            found = scores[measure][name.replace("tau", "tau_b")][0]
            assert found == pytest.approx(value, nan_ok=True), name


def test_the_error_is_the_jackknife_over_seeds() -> None:
    table = two_measures()
    scores = study_scores(table, HYPERPARAMETERS, ["other"], "gap", "seed", num_test_points=10_000)
    parts = [of_seeds(table, [s for s in range(4) if s != left]) for left in range(4)]
    taus = [kendall_tau(part["other"], part["gap"]) for part in parts]
    mean = sum(taus) / 4
    expected = math.sqrt(3 / 4 * sum((tau - mean) ** 2 for tau in taus))
    assert scores["other"]["tau_b"][1] == pytest.approx(expected)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.array([0.1, 0.5, 0.2, 0.9])
    left_out = [float(np.delete(values, index).mean()) for index in range(4)]
    assert jackknife_error(left_out) == pytest.approx(stats.sem(values))
    assert math.isnan(jackknife_error([1.0]))


def test_the_share_between_settings_by_hand() -> None:
    # Means 1 and 5, squares within 2 + 2 over 2 degrees of freedom, between 2·4 + 2·4 over 1; n = 2.
    table = {"lr": np.array([1, 1, 2, 2]), "gap": np.array([0.0, 2.0, 4.0, 6.0])}
    assert share_between_settings(table, ["lr"], "gap") == pytest.approx((16 - 2) / (16 + 2))


def test_the_share_between_settings_finds_the_variances_it_was_made_of() -> None:
    random = np.random.default_rng(0)
    sizes = random.integers(1, 8, size=4_000)
    setting = np.repeat(np.arange(4_000), sizes)
    gap = 0.5 * random.standard_normal(4_000)[setting] + random.standard_normal(len(setting))
    table = {"a": setting % 7, "b": setting // 7, "gap": gap}
    assert share_between_settings(table, ["a", "b"], "gap") == pytest.approx(0.2, abs=0.02)
    noise = {"a": setting, "gap": random.standard_normal(len(setting))}
    assert share_between_settings(noise, ["a"], "gap") == pytest.approx(0, abs=0.03)
    assert math.isnan(share_between_settings({"a": np.arange(3), "gap": np.ones(3)}, ["a"], "gap"))
