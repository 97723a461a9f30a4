"""What a measure adds to a design, against scikit-learn, SciPy and cases whose answer is known."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures

from gaplab.metrics.increments import (
    Increment,
    _permutation_p,
    benjamini_hochberg,
    design_matrix,
    increments,
    midranks,
)
from gaplab.metrics.ranking_information import joint_codes

SEEDS = 4
DESIGN = np.array([setting for setting in product(range(3), range(2), range(4)) for _ in range(SEEDS)])
CODES = list(DESIGN.T)


def noise(seed: int, size: int = len(DESIGN)) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(size)


EFFECT = DESIGN @ np.array([1.0, -0.5, 0.3]) + 0.4 * DESIGN[:, 0] * DESIGN[:, 2]
GAP = EFFECT + 0.3 * noise(1)
MEASURES = {
    "repeats_the_design": np.exp(DESIGN[:, 0] * DESIGN[:, 2] + DESIGN[:, 0]),
    "tells_of_the_run": GAP + 0.3 * noise(2),
    "noise": noise(3),
    "reversed": -GAP + 0.6 * noise(4),
}


@pytest.fixture(scope="module")
def found() -> dict[str, Increment]:
    return increments(CODES, MEASURES, GAP, num_folds=6, num_permutations=199, num_resamples=49)


def test_ranks_are_those_of_scipy() -> None:
    values = np.array([3.0, 1.0, 3.0, -np.inf, 2.0, np.inf, 3.0])
    np.testing.assert_array_equal(midranks(values), stats.rankdata(values))


def test_the_false_discovery_rate_is_that_of_scipy() -> None:
    p_values = np.array([0.04, 0.001, 0.2, 0.03, 0.03, 0.9])
    np.testing.assert_allclose(benjamini_hochberg(p_values), stats.false_discovery_control(p_values))


def test_the_design_spans_main_effects_and_pairs() -> None:
    one_hot = OneHotEncoder(drop="first", sparse_output=False).fit_transform(DESIGN)
    full = PolynomialFeatures(2, interaction_only=True).fit_transform(one_hot)
    matrix = design_matrix(CODES)
    assert matrix.shape[1] == 1 + (2 + 1 + 3) + (2 * 1 + 2 * 3 + 1 * 3)
    both = np.concatenate([matrix, full], axis=1)
    assert np.linalg.matrix_rank(both) == np.linalg.matrix_rank(full) == np.linalg.matrix_rank(matrix)


def test_the_numbers_are_those_of_a_loop_over_runs(found: dict[str, Increment]) -> None:
    """Cross-fitting written out with scikit-learn, run by run, with the folds of the same generator."""
    setting = joint_codes(CODES, len(GAP))
    folds = (np.random.default_rng(0).permutation(setting.max() + 1) % 6)[setting]
    one_hot = OneHotEncoder(drop="first", sparse_output=False).fit_transform(DESIGN)
    features = PolynomialFeatures(2, interaction_only=True, include_bias=False).fit_transform(one_hot)
    y = stats.rankdata(GAP) / len(GAP)
    for name, column in MEASURES.items():
        m = stats.rankdata(column) / len(GAP)
        left_y, left_m, error = np.empty_like(y), np.empty_like(y), np.empty_like(y)
        for fold in range(6):
            train, held_out = folds != fold, folds == fold
            of_y = LinearRegression().fit(features[train], y[train])
            of_m = LinearRegression().fit(features[train], m[train])
            residual_y, residual_m = y - of_y.predict(features), m - of_m.predict(features)
            fit = LinearRegression(fit_intercept=False).fit(residual_m[train, None], residual_y[train])
            left_y[held_out], left_m[held_out] = residual_y[held_out], residual_m[held_out]
            error[held_out] = (residual_y - fit.predict(residual_m[:, None]))[held_out]
        mean_y, mean_m = (
            np.array([values[setting == one].mean() for one in range(setting.max() + 1)])
            for values in (left_y, left_m)
        )
        within = [values - (np.bincount(setting, values) / SEEDS)[setting] for values in (m, y)]
        one = found[name]
        if name == "repeats_the_design":  # of which the fit leaves nothing
            assert (one.between, one.within, one.error_removed) == (0.0, 0.0, 0.0)
            continue
        assert one.error_removed == pytest.approx(1 - np.sum(error**2) / np.sum(left_y**2), abs=1e-9)
        assert one.between == pytest.approx(np.corrcoef(mean_m, mean_y)[0, 1], abs=1e-9)
        assert one.within == pytest.approx(np.corrcoef(*within)[0, 1], abs=1e-9)


def test_what_repeats_the_design_adds_nothing(found: dict[str, Increment]) -> None:
    one = found["repeats_the_design"]
    assert (one.between_q, one.within_q) == (1.0, 1.0)
    assert one.error_removed_interval == (0.0, 0.0)


def test_what_three_hyperparameters_do_together_is_found_among_settings_only() -> None:
    """The ranks of two linear effects bend alike at their ends, which pairs cannot follow."""
    repeat = {"repeats": EFFECT}
    one = increments(CODES, repeat, GAP, num_permutations=19, num_resamples=0)["repeats"]
    assert one.between > 0.5
    assert (one.within, one.within_q) == (0.0, 1.0)


def test_what_tells_of_the_run_is_found_with_its_sign(found: dict[str, Increment]) -> None:
    right, wrong, nothing = found["tells_of_the_run"], found["reversed"], found["noise"]
    assert right.within > 0.5
    assert right.within_q <= 0.02
    assert right.error_removed_interval[0] > 0.2
    assert wrong.within < -0.2
    assert nothing.within_q > 0.05
    assert nothing.between_q > 0.05
    assert nothing.error_removed_interval[0] < 0.02


def test_the_permutation_tests_hold_their_level() -> None:
    """Of 400 measures that are noise, about one in twenty is found at 5 %, before any adjustment."""

    random = np.random.default_rng(7)
    noises = random.standard_normal((len(GAP), 400))
    setting = joint_codes(CODES, len(GAP))
    for group in (setting, np.zeros_like(setting)):
        p_values = _permutation_p(noises, GAP, group, 199, random)
        assert stats.binomtest(int(np.sum(p_values <= 0.05)), 400, 0.05).pvalue > 0.01


def test_too_few_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 settings, one a fold, but got 2"):
        increments([np.array([0, 0, 1, 1])], {"m": np.arange(4.0)}, np.arange(4.0))
