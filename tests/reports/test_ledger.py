"""The ledger of a sweep against numbers worked out elsewhere."""

import csv
from pathlib import Path

import pytest
from rich.console import Console
from scipy import stats

from gaplab.errors import ConfigError
from gaplab.reports.ledger import (
    Summary,
    bands,
    group_by_setting,
    read_ledger,
    summarize,
    t_quantile,
    varied_keys,
    write_ledger,
)
from gaplab.reports.sweep_report import print_summary
from gaplab.reports.sweep_tables import sweep_tables
from left_runs import leave_run


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for name, words, gap in (
        ("a", ["optimizer.lr=0.1", "seed=0"], 0.1),
        ("b", ["optimizer.lr=0.1", "seed=1"], 0.3),
        ("c", ["optimizer.lr=0.01", "seed=0"], 0.5),
    ):
        leave_run(tmp_path / name, words, gap)
    leave_run(tmp_path / "d", ["optimizer.lr=0.01", "seed=1"], None, "diverged")
    return tmp_path


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 31, 255, 1023])
def test_quantiles_of_t_are_those_of_scipy(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-6)


def test_folds_are_averaged_like_seeds(tmp_path: Path) -> None:
    gaps = {("0.1", "0"): 0.1, ("0.1", "1"): 0.4, ("0.01", "0"): 0.2, ("0.01", "1"): 0.7}
    for place, ((rate, fold), gap) in enumerate(gaps.items()):
        words = [f"optimizer.lr={rate}", "data.num_folds=2", f"data.fold={fold}"]
        leave_run(tmp_path / str(place), words, gap)
    rows = read_ledger(tmp_path)
    assert varied_keys(rows) == ["optimizer.lr"]
    found = {name: summarize(members, "gap/loss") for name, members in group_by_setting(rows).items()}
    assert {name: summary and summary.values for name, summary in found.items()} == {
        "lr=0.1": [0.1, 0.4],
        "lr=0.01": [0.2, 0.7],
    }
    write_ledger(rows, tmp_path / "ledger.csv")
    with (tmp_path / "ledger.csv").open() as file:
        assert [(row["optimizer.lr"], row["data.fold"]) for row in csv.DictReader(file)] == list(gaps)
    (facts,) = (
        table for table in sweep_tables(tmp_path, rows, group_by_setting(rows)) if table.title == "What ran"
    )
    assert "interval of such a mean is too narrow" in dict(facts.rows)["folds"]


def test_summary_is_that_of_scipy() -> None:
    values = [0.3, 0.1, 0.7, 0.2]
    summary = Summary(values)
    low, high = stats.t.interval(0.95, 3, loc=summary.mean, scale=stats.sem(values))
    assert (summary.mean - summary.half_width, summary.mean + summary.half_width) == pytest.approx(
        (low, high)
    )
    assert summary.deviation == pytest.approx(stats.tstd(values))


def test_runs_are_grouped_by_what_differs_beside_seeds(sweep: Path) -> None:
    rows = read_ledger(sweep)
    assert varied_keys(rows) == ["optimizer.lr"]
    groups = group_by_setting(rows)
    assert {name: [row.name for row in part] for name, part in groups.items()} == {
        "lr=0.1": ["a", "b"],
        "lr=0.01": ["c", "d"],
    }
    found = summarize(groups["lr=0.1"], "gap/loss")
    assert found is not None
    assert found.mean == pytest.approx(0.2)
    assert summarize(groups["lr=0.01"][1:], "gap/loss") is None


def test_the_file_has_a_row_a_run(sweep: Path) -> None:
    write_ledger(read_ledger(sweep), sweep / "ledger.csv")
    with (sweep / "ledger.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["finished", "finished", "finished", "diverged"]
    assert rows[1]["optimizer.lr"] == "0.1"
    assert rows[0]["capacity/path_norm"] == "2.0"
    assert rows[3]["gap/loss"] == ""


def test_bands_over_runs_by_hand() -> None:
    result = bands([{1: {"x": 1.0}, 2: {"x": 0.0}}, {1: {"x": 3.0}}])
    assert list(result) == [1]
    assert result[1]["x"] == 2.0
    # s = sqrt(2), n = 2: half width 12.7062 * sqrt(2) / sqrt(2)
    assert result[1]["x_upper"] == pytest.approx(2 + 12.7062, abs=1e-3)


def test_the_summary_names_the_best_and_the_lost(sweep: Path) -> None:
    rows = read_ledger(sweep)
    console = Console(record=True, width=200)
    print_summary(rows, group_by_setting(rows), console)
    text = console.export_text()
    assert "3 of 4 runs finished" in text
    assert "Best run by loss/val: a" in text
    assert "d: diverged" in text


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no folder in it holds a run\.json"):
        read_ledger(tmp_path)
