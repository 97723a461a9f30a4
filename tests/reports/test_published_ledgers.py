"""The committed ledgers of the studies, and the tables made from them, against SciPy."""

import csv
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from gaplab.metrics.capacity.catalogue import MEASURES
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


def test_increments_among_seeds_are_those_of_deviations_from_the_setting(
    study: tuple[StudyLedger, dict[str, dict[str, str]]],
) -> None:
    ledger, _ = study
    with (folder_of(ledger) / "increments.csv").open() as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    assert rows.keys() == set(ledger.measures)
    settings = np.unique(np.stack([ledger.table[axis] for axis in ledger.axes]), axis=1, return_inverse=True)
    group = settings[1].reshape(-1)

    def deviations(values: np.ndarray) -> np.ndarray:
        ranks = stats.rankdata(values)
        return ranks - (np.bincount(group, ranks) / np.bincount(group))[group]

    for name in ("inverse_margin", "fro_over_spec", "gradient_variance"):
        expected = np.corrcoef(deviations(ledger.table[name]), deviations(ledger.table[GAP]))[0, 1]
        assert float(rows[name]["residual correlation within"]) == pytest.approx(expected, abs=1e-3)


def test_the_page_has_the_increments_of_the_tables(
    study: tuple[StudyLedger, dict[str, dict[str, str]]],
) -> None:
    """Every cell: correlations in brackets where the test finds nothing, and the error removed with its interval."""
    ledger, _ = study
    page = (DOCS.parent / "generalization_study.md").read_text()
    columns = slice(1, 4) if "dropout" in ledger.axes else slice(4, 7)
    with (folder_of(ledger) / "increments.csv").open() as file:
        for row in csv.DictReader(file):
            cells = [
                f"{float(row[f'residual correlation {kind}']):.2f}".replace("-0.00", "0.00")
                for kind in ("between", "within")
            ]
            for place, kind in enumerate(("between", "within")):
                if float(row[f"{kind} q"]) > 0.05:
                    cells[place] = f"({cells[place]})"
            removed, low, high = (
                f"{100 * float(row[f'error removed{end}']):.1f}".replace("-0.0", "0.0")
                for end in ("", " low", " high")
            )
            cells.append(f"{removed} ({low} to {high})")
            name = row["measure"]
            line = next(
                line for line in page.splitlines() if line.startswith(f"| {name} | ") and " to " in line
            )
            assert [cell.strip() for cell in line.strip("|").split("|")][columns] == cells


def test_the_data_card_explains_every_column(study: tuple[StudyLedger, dict[str, dict[str, str]]]) -> None:
    ledger, _ = study
    card = (DOCS / "README.md").read_text()
    for column in ledger.rows[0]:
        name = column.removeprefix("capacity/")
        assert f"`{name}`" in card, name
        if column.startswith("capacity/"):
            assert f"| `{name}` | {MEASURES[name].formula.replace('|', '&#124;')} |" in card
    file = folder_of(ledger) / "ledger.csv.gz"
    line = f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(DOCS)}"
    assert line in (DOCS / "SHA256SUMS").read_text().splitlines()
    assert yaml.safe_load((DOCS / "CITATION.cff").read_text())["type"] == "dataset"


def folder_of(ledger: StudyLedger) -> Path:
    return DOCS if "dropout" in ledger.axes else DOCS / "robust"
