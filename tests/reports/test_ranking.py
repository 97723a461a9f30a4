"""From a ledger to the ranking: what counts, what is left out, what is written."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from gaplab.errors import ConfigError
from gaplab.metrics.capacity.catalogue import MEASURES, ROBUST
from gaplab.metrics.published_ranking import PUBLISHED
from gaplab.reports import increments
from gaplab.reports.ranking import by_rank, main, rank_study
from gaplab.reports.ranking_table import read_study, write_compact


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """24 settings × 4 seeds; one measure is the gap itself, one its negative, one noise."""
    random, rows = np.random.default_rng(0), []
    design = itertools.product(("[8]", "[16]", "[8,8]", "[16,16]"), (0.1, 0.01), (50, 100, 200), range(4))
    for widths, lr, points, seed in design:
        gap = (
            0.1 * np.sqrt(8 / points) + 0.02 * widths.count("8") + lr / 10 + 0.002 * random.standard_normal()
        )
        row = {
            "run": f"r{len(rows)}",
            "network.widths": widths,
            "optimizer.lr": lr,
            "data.num_points": points,
        }
        row |= {"experiment": "x", "init_seed": seed, "data_seed": 0, "train_seed": seed}
        row |= {"status": "finished", "seconds": 0.1, "loss/train": 0.01, "loss/test": 0.3}
        row |= {"gap/accuracy": gap, "gap/loss": 2 * gap, "accuracy/train": 1.0}
        row |= {"capacity/pacbayes_flatness": gap, "capacity/params": -gap}
        row["capacity/gradient_variance"] = random.standard_normal()
        rows.append(row)
    rows[5] |= {"status": "diverged", "loss/train": "", "gap/accuracy": ""}
    rows[6]["loss/train"] = 0.4
    rows[7]["capacity/params"] = ""
    with (tmp_path / "ledger.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "r0").mkdir()
    config = {"trainer": {"stop_at_train_loss": 0.02}, "data": {"num_test_points": 100_000}}
    (tmp_path / "r0" / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_unusable_runs_are_counted_by_reason(sweep: Path) -> None:
    study = read_study(sweep)
    assert study.counts == {
        "runs": 96,
        "diverged": 1,
        "unconverged": 1,
        "a measure is infinite": 1,
        "usable": 93,
    }
    assert study.axes == ["depth", "width", "lr", "num_points"]
    assert study.size_axis == "num_points"
    assert study.table["depth"][0] == 1
    assert set(study.table["width"]) == {8, 16}


def test_oracle_and_its_opposite_are_ranked_first_and_last(sweep: Path) -> None:
    console = Console(record=True, width=200)
    scores = rank_study(sweep, sweep / "out", console)
    assert by_rank(scores) == ["pacbayes_flatness", "gradient_variance", "params"]
    oracle, opposite = scores["pacbayes_flatness"], scores["params"]
    for name in ("tau", "tau_b", "tau_b/equal_size", "psi_mean", "psi_mean/equal_size", "information"):
        assert oracle[name][0] == pytest.approx(1), name
    assert opposite["tau"][0] == pytest.approx(-1)
    assert opposite["information"][0] == pytest.approx(1)  # the opposite order tells as much
    assert oracle["sign_error/maximum"][0] == 0
    assert opposite["sign_error/mean"][0] == 1
    text = " ".join(console.export_text().split())
    assert "93 of 96 runs (left out: 1 diverged, 1 unconverged" in text
    assert "of the gap's variance" in text


def test_tables_and_figures_are_written(sweep: Path) -> None:
    rank_study(sweep, sweep / "out", Console(quiet=True))
    names = {file.name for file in (sweep / "out").iterdir()}
    assert {"ranking.csv", "ranking.md", "ranking.png"} < names
    assert sum(name.startswith("gap_by_") for name in names) == 2
    with (sweep / "out" / "ranking.csv").open() as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    assert rows["pacbayes_flatness"]["published sign_error/mean"] == "0.1024"
    assert rows["gradient_variance"]["published sign_error/mean"] == ""
    assert float(rows["params"]["psi/lr"]) == pytest.approx(-1)
    text = (sweep / "out" / "ranking.md").read_text()
    assert "| pacbayes_flatness | 1.000 ± 0.000 |" in text
    assert "ψ num_points" in text


def test_a_compact_ledger_gives_the_same_ranking(sweep: Path) -> None:
    file = sweep / "compact" / "ledger.csv.gz"
    file.parent.mkdir()
    study = read_study(sweep)
    write_compact(study, file)
    again = read_study(file)
    assert (again.axes, again.counts) == (study.axes, study.counts)
    assert again.num_test_points == study.num_test_points
    np.testing.assert_allclose(again.table["gap/accuracy"], study.table["gap/accuracy"], rtol=1e-4)


def test_mistakes_are_explained(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(sweep / "nowhere")])
    assert "expected the ledger of a sweep" in capsys.readouterr().err
    lines = (sweep / "ledger.csv").read_text().replace("capacity/", "bound/")
    (sweep / "ledger.csv").write_text(lines)
    with pytest.raises(ConfigError, match="measures=capacity"):
        read_study(sweep)


def test_published_numbers_are_those_of_the_robust_study() -> None:
    assert PUBLISHED.keys() == {name for name, measure in MEASURES.items() if measure.source == ROBUST}


def test_increments_are_written_and_shown_uncut(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first measure is the gap itself, the second its negative: both remove all that the design leaves."""
    monkeypatch.setenv("COLUMNS", "80")
    increments.main([str(sweep), "--out", str(tmp_path / "out")])
    with (tmp_path / "out" / "increments.csv").open() as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    assert float(rows["pacbayes_flatness"]["error removed"]) == pytest.approx(1)
    assert float(rows["params"]["residual correlation within"]) == pytest.approx(-1)
    assert float(rows["gradient_variance"]["within q"]) > 0.05
    assert rows["params"]["published error removed"] == "-0.016"
    assert (tmp_path / "out" / "increments.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "(" in next(line for line in printed.splitlines() if "gradient_variance" in line)


def test_increments_need_settings_to_leave_out(sweep: Path, tmp_path: Path) -> None:
    with (sweep / "ledger.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["network.widths"] in ("[8]", "[16]")]
    with (tmp_path / "few.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "stop_at_train_loss", "num_test_points"])
        writer.writeheader()
        writer.writerows(row | {"stop_at_train_loss": "", "num_test_points": "1000"} for row in rows)
    with pytest.raises(ConfigError, match=r"at least 20 settings of .* the ledger has 12"):
        increments.study_increments(read_study(tmp_path / "few.csv"))
