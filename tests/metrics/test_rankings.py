import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from gaplab.metrics.ranking_information import conditional_information
from gaplab.metrics.rankings import (
    Table,
    difference_weights,
    granulated_tau,
    kendall_tau,
    one_factor_pairs,
    order_signs,
    rank_measure,
    robust_sign_error,
)
from ranked_study import HYPERPARAMETERS, codes, study


def sign(x: float) -> int:
    return int(x > 0) - int(x < 0)


def one_factor_pairs_by_hand(table: Table, axis: str) -> list[tuple[int, int]]:
    return [
        (i, j)
        for i, j in itertools.combinations(range(len(table["gap"])), 2)
        if [name for name in HYPERPARAMETERS if table[name][i] != table[name][j]] == [axis]
    ]


def test_order_signs_treat_equal_infinities_as_ties() -> None:
    first, second = np.array([np.inf, np.inf, 1.0, 2.0]), np.array([np.inf, 1.0, np.inf, 2.0])
    assert order_signs(first, second).tolist() == [0, 1, -1, 0]


def test_tau_of_a_worked_case_and_of_scipy() -> None:
    # Six pairs: five agree, one disagrees.
    assert kendall_tau(np.array([1, 2, 3, 4]), np.array([1, 2, 4, 3])) == pytest.approx(4 / 6)
    table = study()
    expected = stats.kendalltau(table["measure"], table["gap"]).statistic
    assert kendall_tau(table["measure"], table["gap"]) == pytest.approx(expected)
    assert math.isnan(kendall_tau(np.ones(3), np.arange(3)))


def test_tau_within_counts_only_pairs_of_equal_size() -> None:
    measure, gap, size = np.array([1, 2, 9, 8]), np.array([1, 2, 3, 4]), np.array([1, 1, 2, 2])
    assert kendall_tau(measure, gap, within=size) == 0  # one pair agrees, one disagrees
    assert kendall_tau(measure, gap) == pytest.approx(4 / 6)


@pytest.mark.parametrize("axis", HYPERPARAMETERS)
def test_one_factor_pairs_are_those_of_brute_force(axis: str) -> None:
    table = study()
    pairs = one_factor_pairs(table, HYPERPARAMETERS, axis)
    found = {tuple(sorted(map(int, pair))) for pair in zip(pairs.left, pairs.right, strict=True)}
    assert found == set(one_factor_pairs_by_hand(table, axis))
    assert len(found) == len(pairs.left)
    assert all(table[axis][pairs.left] < table[axis][pairs.right])
    configurations = {
        (environment, *(table[name][run] for name in HYPERPARAMETERS for run in pair))
        for environment, *pair in zip(pairs.environment, pairs.left, pairs.right, strict=True)
    }
    assert len(configurations) == len(set(pairs.environment))


def test_one_factor_pairs_name_an_unknown_axis() -> None:
    with pytest.raises(ValueError, match=r"`axis`.*\['width', 'lr', 'size'\].*'depth'"):
        one_factor_pairs(study(), HYPERPARAMETERS, "depth")


def test_granulated_tau_of_a_worked_case() -> None:
    # At lr 0 the widths are ordered rightly (τ = 1), at lr 1 two of three pairs are wrong (τ = −1/3).
    table = {
        "width": np.array([1, 2, 3, 1, 2, 3]),
        "lr": np.array([0, 0, 0, 1, 1, 1]),
        "measure": np.array([1, 2, 3, 1, 2, 3]),
        "gap": np.array([0.1, 0.2, 0.3, 0.3, 0.1, 0.2]),
    }
    assert granulated_tau(table, ["width", "lr"], "width", "measure", "gap") == pytest.approx(1 / 3)
    # Along lr the measure never changes.
    assert granulated_tau(table, ["width", "lr"], "lr", "measure", "gap") == 0


@pytest.mark.parametrize("axis", HYPERPARAMETERS)
def test_granulated_tau_agrees_with_brute_force(axis: str) -> None:
    table = study()
    others = [name for name in HYPERPARAMETERS if name != axis]
    taus = []
    pairs = one_factor_pairs_by_hand(table, axis)
    for setting in {tuple(table[name][i] for name in others) for i, _ in pairs}:
        inside = [(i, j) for i, j in pairs if tuple(table[name][i] for name in others) == setting]
        s = [
            (sign(table["measure"][i] - table["measure"][j]), sign(table["gap"][i] - table["gap"][j]))
            for i, j in inside
        ]
        untied = math.sqrt(sum(a * a for a, _ in s) * sum(b * b for _, b in s))
        taus.append(sum(a * b for a, b in s) / untied if untied else 0.0)
    expected = sum(taus) / len(taus)
    assert granulated_tau(table, HYPERPARAMETERS, axis, "measure", "gap") == pytest.approx(expected)


def test_weights_vanish_for_equal_gaps_and_reach_a_half() -> None:
    # The certainty 1 − 2exp(−nΔ²/2) is √½ at the edge.
    edge = math.sqrt(-2 * math.log((1 - math.sqrt(0.5)) / 2) / 10_000)
    weights = difference_weights(np.array([0.0, 0.999 * edge, 1.1 * edge, 1.0]), 10_000)
    assert weights[:2].tolist() == [0, 0]
    assert 0 < weights[2] < 0.5
    assert weights[3] == pytest.approx(0.5)


def test_sign_error_agrees_with_brute_force() -> None:
    table, num_test_points = study(), 2000
    errors = []
    for axis in HYPERPARAMETERS:
        environments: dict[tuple[object, ...], list[tuple[float, float]]] = {}
        for i, j in one_factor_pairs_by_hand(table, axis):
            runs = sorted((i, j), key=lambda run: str(table[axis][run]))
            key = tuple(table[name][run] for name in HYPERPARAMETERS for run in runs)
            difference = table["gap"][i] - table["gap"][j]
            certainty = max(0.0, 1 - 2 * math.exp(-2 * num_test_points * (difference / 2) ** 2)) ** 2
            error = (1 - sign(table["measure"][i] - table["measure"][j]) * sign(difference)) / 2
            environments.setdefault(key, []).append((max(0.0, certainty - 0.5), error))
        for sample in environments.values():
            weights = [w for w, _ in sample]
            if sum(weights) > 0 and sum(weights) ** 2 / sum(w * w for w in weights) >= 3:
                errors.append(sum(w * e for w, e in sample) / sum(weights))
    found = robust_sign_error(
        table,
        HYPERPARAMETERS,
        HYPERPARAMETERS,
        "measure",
        "gap",
        num_test_points=num_test_points,
        least_sample_size=3,
    )
    assert 3 < found.num_environments < 20  # some environments are kept, some are too uncertain
    assert found.num_environments == len(errors)
    assert found[:3] == pytest.approx((np.mean(errors), np.quantile(errors, 0.9), max(errors)))


def test_sign_error_without_certain_environments_is_nan() -> None:
    found = robust_sign_error(study(), HYPERPARAMETERS, ["lr"], "measure", "gap", num_test_points=1)
    assert math.isnan(found.mean)
    assert found.num_environments == 0


def information_by_hand(table: Table, names: list[str], *, within: str | None) -> float:
    """min over |S| ≤ 2 of Σ p(u) Σ p(v_μ, v_g|u)·ln[p(v_μ, v_g|u)/(p(v_μ|u)·p(v_g|u))] / H(V_g|U)."""
    runs = range(len(table["gap"]))
    ratios = []
    for chosen in itertools.chain.from_iterable(itertools.combinations(names, size) for size in range(3)):
        events: Counter[tuple[object, ...]] = Counter()
        for i, j in itertools.permutations(runs, 2):
            if within is None or table[within][i] == table[within][j]:
                u = tuple((table[name][i], table[name][j]) for name in chosen)
                events[u, table["measure"][i] > table["measure"][j], table["gap"][i] > table["gap"][j]] += 1
        total = sum(events.values())
        of_u, of_measure, of_gap = Counter(), Counter(), Counter()
        for (u, v_measure, v_gap), count in events.items():
            of_u[u] += count
            of_measure[u, v_measure] += count
            of_gap[u, v_gap] += count
        information = sum(
            count / total * math.log(count * of_u[u] / (of_measure[u, v_measure] * of_gap[u, v_gap]))
            for (u, v_measure, v_gap), count in events.items()
        )
        entropy = -sum(count / total * math.log(count / of_u[u]) for (u, _), count in of_gap.items())
        ratios.append(information / entropy)
    return min(ratios)


@pytest.mark.parametrize(("names", "within"), [(HYPERPARAMETERS, None), (["width", "lr"], "size")])
def test_information_agrees_with_brute_force(names: list[str], within: str | None) -> None:
    table = study(num_seeds=2)
    column = None if within is None else table[within]
    found = conditional_information(
        table["measure"], table["gap"], codes(table, names), within=column, chunk_size=5
    )
    assert found == pytest.approx(information_by_hand(table, names, within=within), abs=1e-12)
    assert 0 < found < 1


def test_information_of_an_oracle_is_one_and_of_a_hyperparameter_is_zero() -> None:
    table = study()
    assert conditional_information(
        table["gap"], table["gap"], codes(table, HYPERPARAMETERS)
    ) == pytest.approx(1)
    found = conditional_information(table["width"], table["gap"], codes(table, HYPERPARAMETERS))
    assert found == pytest.approx(0, abs=1e-12)


def test_rank_measure_gathers_everything_with_and_without_the_size_axis() -> None:
    table = study()
    scores = rank_measure(table, HYPERPARAMETERS, "measure", "gap", num_test_points=10_000, size_axis="size")
    psi = [granulated_tau(table, HYPERPARAMETERS, axis, "measure", "gap") for axis in HYPERPARAMETERS]
    assert scores["psi_mean"] == pytest.approx(np.mean(psi))
    assert scores["psi_mean/equal_size"] == pytest.approx(np.mean(psi[:2]))
    assert scores["tau/equal_size"] == kendall_tau(table["measure"], table["gap"], within=table["size"])
    assert scores["tau"] == kendall_tau(table["measure"], table["gap"])
    assert scores["information/equal_size"] == pytest.approx(
        information_by_hand(table, ["width", "lr"], within="size"), abs=1e-12
    )
    with_size = robust_sign_error(
        table, HYPERPARAMETERS, HYPERPARAMETERS, "measure", "gap", num_test_points=10_000
    )
    assert scores["sign_error/mean"] == with_size.mean
    assert scores["sign_error/num_environments"] > scores["sign_error/num_environments/equal_size"] > 0
