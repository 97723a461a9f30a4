"""A ranking over draws of the points: scores of each draw against SciPy, and what is written of them."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gaplab.reports.draws import describe, draws_table, main, score_draws, score_one_set
from gaplab.reports.ranking_table import GAP, read_study

DRAWS = range(1, 7)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """6 draws × 12 settings: the gap itself, its negative, one that only tells draws apart, and chance."""
    random, rows = np.random.default_rng(0), []
    for draw, width, lr, m in itertools.product(DRAWS, (8, 16), (0.1, 0.01), (50, 100, 200)):
        gap = 0.1 * draw + 0.02 * width / 8 + lr / 10 + 1 / m + 0.005 * random.standard_normal()
        row = {"width": width, "optimizer.lr": lr, "data.num_points": m, "data_seed": draw, "init_seed": draw}
        row |= {"status": "finished", "loss/train": 0.001, "accuracy/train": 1, "gap/loss": gap}
        row |= {"gap/accuracy": gap, "capacity/oracle": gap, "capacity/opposite": -gap}
        row |= {"capacity/difficulty": -draw, "capacity/chance": random.standard_normal()}
        rows.append(row | {"stop_at_train_loss": 0.01, "num_test_points": 1000})
    file = tmp_path / "study.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return file


def one_set(ledger: Path) -> Path:
    """A study of one of the draws: two depths, of which the deeper one turns the order round, and three seeds."""
    with ledger.open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["data_seed"] == "1"]
    file = ledger.parent / "one_set.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "depth"])
        writer.writeheader()
        for row, depth, seed in itertools.product(rows, (2, 4), range(3)):
            measure = float(row["gap/accuracy"]) * (1 if depth == 2 and seed else -1)
            writer.writerow(row | {"depth": depth, "init_seed": seed, "capacity/oracle": measure})
    return file


def test_the_same_settings_of_one_training_set_are_scored_seed_by_seed(ledger: Path) -> None:
    found = score_one_set(one_set(ledger), score_draws(read_study(ledger)), ["depth=2"])
    assert found["oracle"] == pytest.approx((1 + 1 - 1) / 3)
    assert found["opposite"] == -1
    assert score_one_set(one_set(ledger), score_draws(read_study(ledger)), ["depth=4"])["oracle"] == -1


def test_each_draw_has_the_tau_of_scipy(ledger: Path) -> None:
    study = read_study(ledger)
    assert study.seed == "data_seed"
    scores = score_draws(study)
    for name, (place, draw) in itertools.product(("oracle", "chance"), enumerate(DRAWS)):
        rows = study.table["data_seed"] == draw
        expected = stats.kendalltau(study.table[name][rows], study.table[GAP][rows]).statistic
        assert scores.of[name]["tau_b"][place] == pytest.approx(expected)
    assert (scores.ranked[0], scores.ranked[-1]) == ("oracle", "opposite")
    assert np.all(scores.of["oracle"]["psi_mean/equal_size"] == 1)
    assert np.all(scores.of["difficulty"]["psi_mean"] == 0)
    assert scores.among["difficulty"] == (-1, 0)
    assert scores.among["oracle"] == (1, 0)


def test_the_table_has_the_interval_of_scipy(ledger: Path) -> None:
    scores = score_draws(read_study(ledger))
    known = {"oracle": 0.5, "opposite": -0.5, "chance": 0.1, "elsewhere": 1.0}
    (row,) = (line for line in draws_table(scores, known) if "| chance |" in line)
    cells = [cell.strip().strip("*") for cell in row.strip("|").split("|")]
    values = scores.of["chance"]["psi_mean"]
    low, high = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
    assert cells[1:3] == ["0.100", f"{values.mean():.3f} ± {(high - low) / 2:.3f}"]
    assert cells[-2] == str((scores.of["chance"]["psi_mean/equal_size"] > 0).sum())
    text = describe(scores, known)
    assert text[0].startswith("72 of 72 runs, 6 draws, axes width, lr, num_points.")
    order = stats.kendalltau([1, -1, scores.of["chance"]["psi_mean/equal_size"].mean()], [0.5, -0.5, 0.1])
    assert f"the mean of all draws and that study {order.statistic:.2f}." in text[1]


def test_what_is_written_comes_from_a_compact_ledger_too(ledger: Path) -> None:
    out = ledger.parent
    compact = out / "small" / "ledger.csv.gz"
    compact.parent.mkdir()
    known = one_set(ledger)
    for source in (ledger, compact):
        words = [] if source == compact else ["--ledger", str(compact)]
        main(
            [
                str(source),
                "--against",
                str(known),
                "--only",
                "depth=2",
                "--out",
                str(out / source.stem),
                *words,
            ]
        )
    assert (out / "study" / "draws.png").is_file()
    pages = [(out / name / "draws.md").read_text() for name in ("study", "ledger.csv")]
    assert pages[0] == pages[1]
    with (out / "study" / "draws.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6 * 4


def test_mistakes_are_explained(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(ledger), "--against", str(ledger), "--only", "depth=2"])
    assert stop.value.code == 2
    assert "expected runs that vary depth, but they vary width" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(ledger), "--against", str(one_set(ledger)), "--only", "depth=9"])
    assert "but there are none" in capsys.readouterr().err
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join(line for line in lines if ",1,1,finished" in line or "status" in line))
    with pytest.raises(SystemExit):
        main([str(ledger)])
    assert "at least 5 draws of the points, but there are 1" in capsys.readouterr().err
    assert not list(ledger.parent.glob("draws.*")), "nothing is left behind"


@pytest.mark.parametrize(("option", "reason"), [("--out", "Not a directory"), ("--ledger", "File exists")])
def test_a_place_that_cannot_be_written_is_one_sentence(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "ledger.csv.gz"
    with pytest.raises(SystemExit) as stop:
        main([str(ledger), option, str(place)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'file'}")
    assert f"cannot be written: {reason}. Choose another place with --out or --ledger." in error
    assert "Traceback" not in error
