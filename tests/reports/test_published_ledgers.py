"""The committed ledgers of the studies, and the tables made from them, against SciPy."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gaplab.metrics.rankings import granulated_tau
from gaplab.reports.ranking_table import GAP, StudyLedger, read_study

DOCS = Path(__file__).parents[2] / "docs" / "study"


@pytest.fixture(scope="module", params=["", "robust"])
def study(request: pytest.FixtureRequest) -> tuple[StudyLedger, dict[str, dict[str, str]]]:
    folder = DOCS / str(request.param)
    with (folder / "ranking.csv").open() as file:
        return read_study(folder / "ledger.csv.gz"), {row["measure"]: row for row in csv.DictReader(file)}


def test_the_designs_are_complete(study: tuple[StudyLedger, dict[str, dict[str, str]]]) -> None:
    ledger, _ = study
    assert ledger.counts["runs"] == (3**7 * 5 if "dropout" in ledger.axes else 1_000 * 10)
    assert ledger.counts["usable"] > 0.95 * ledger.counts["runs"]
    assert len(ledger.measures) == 26
    assert float(np.max(ledger.table[GAP])) < 0.5


def test_the_tables_have_the_tau_of_scipy(study: tuple[StudyLedger, dict[str, dict[str, str]]]) -> None:
    ledger, rows = study
    assert rows.keys() == set(ledger.measures)
    for measure, row in rows.items():
        expected = stats.kendalltau(ledger.table[measure], ledger.table[GAP]).statistic
        assert float(row["tau_b"]) == pytest.approx(expected, abs=2e-5), measure


def test_psi_is_the_mean_of_the_axes(study: tuple[StudyLedger, dict[str, dict[str, str]]]) -> None:
    ledger, rows = study
    for row in rows.values():
        psi = [float(row[f"psi/{axis}"]) for axis in ledger.axes]
        assert float(row["psi_mean"]) == pytest.approx(sum(psi) / len(psi), abs=1e-4)
        assert all(math.isfinite(value) for value in psi)
    width = granulated_tau(ledger.table, ledger.axes, "width", "params", GAP)
    assert float(rows["params"]["psi/width"]) == pytest.approx(width, abs=1e-4)
