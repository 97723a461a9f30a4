"""The committed ledgers of many draws of the points, and the page made from them, against SciPy."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gaplab.metrics.capacity.catalogue import MEASURES
from gaplab.reports.draws import DrawnScores, describe, draws_table, score_draws, score_one_set, to_markdown
from gaplab.reports.ranking_table import GAP, read_study

STUDY = Path(__file__).parents[2] / "docs" / "study"
FOLDERS = {
    "draws": (STUDY, ["depth=2", "weight_decay=0"]),
    "draws_robust": (STUDY / "robust", ["depth=2"]),
}
"""The study of one training set of the same design and what its runs must have, by the folder of that of many."""


@pytest.fixture(scope="module", params=FOLDERS)
def drawn(request: pytest.FixtureRequest) -> tuple[Path, DrawnScores, dict[str, float]]:
    folder = STUDY / str(request.param)
    scores = score_draws(read_study(folder / "ledger.csv.gz"))
    of_one, only = FOLDERS[folder.name]
    return folder, scores, score_one_set(of_one / "ledger.csv.gz", scores, only)


def test_the_page_has_the_sentences_and_the_table_of_the_ledger(
    drawn: tuple[Path, DrawnScores, dict[str, float]],
) -> None:
    folder, scores, known = drawn
    assert (folder / "draws.md").read_text() == to_markdown(scores, known)
    page = (STUDY.parent / "generalization_study.md").read_text()
    assert [
        line for line in [*describe(scores, known), *draws_table(scores, known)] if line not in page
    ] == []


def test_the_design_is_complete_and_every_draw_has_the_tau_of_scipy(
    drawn: tuple[Path, DrawnScores, dict[str, float]],
) -> None:
    _, scores, _ = drawn
    table, counts = scores.ledger.table, scores.ledger.counts
    draws = np.unique(table["data_seed"])
    assert len(draws) >= 20
    assert 0 not in draws, "the training set of the other studies"
    assert counts["usable"] > 0.9 * counts["runs"]
    for name in ("path_norm_over_margin", "davies_bouldin_mixup"):
        for place in (0, len(draws) - 1):
            rows = table["data_seed"] == draws[place]
            expected = stats.kendalltau(table[name][rows], table[GAP][rows]).statistic
            assert scores.of[name]["tau_b"][place] == pytest.approx(expected)


def test_the_page_has_the_increments_of_the_ledger(
    drawn: tuple[Path, DrawnScores, dict[str, float]],
) -> None:
    folder, scores, _ = drawn
    with (folder / "increments.csv").open() as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    assert rows.keys() == set(scores.ledger.measures)
    page = (STUDY.parent / "generalization_study.md").read_text()
    among = {
        name: float(row["residual correlation within"]) for name, row in rows.items() if name != "params"
    }
    for name in (min(among, key=among.__getitem__), max(among, key=among.__getitem__)):
        assert f"{among[name]:.2f} (`{name}`)" in page


def test_the_data_card_explains_the_ledger(drawn: tuple[Path, DrawnScores, dict[str, float]]) -> None:
    folder, scores, _ = drawn
    card = (STUDY / "README.md").read_text()
    for column in scores.ledger.rows[0]:
        name = column.removeprefix("capacity/")
        assert f"`{name}`" in card, name
        if column.startswith("capacity/"):
            assert f"| `{name}` | {MEASURES[name].formula.replace('|', '&#124;')} |" in card
    file = folder / "ledger.csv.gz"
    assert file.stat().st_size < 3e6
    line = f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(STUDY)}"
    assert line in (STUDY / "SHA256SUMS").read_text().splitlines()
    assert f"{scores.ledger.counts['runs']:,}" in card
