"""Settings against their untouched twins: pairs, intervals and outcomes, with SciPy as the witness."""

import csv
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from gaplab.errors import ConfigError
from gaplab.reports.intervention_runs import read_paired_runs, write_compact
from gaplab.reports.interventions import differences_of, main, outcome_lines, report_interventions

LR, DECAY = ("optimizer.lr", "0.1"), ("optimizer.weight_decay", "1e-3")
SETTINGS = ((), (LR,), (DECAY,), (LR, DECAY), (("task.num_members", "4"), ("trainer.max_steps", "240")))
EFFECTS = ((0.0, 0.0), (-0.05, -0.04), (0.0, -0.03), (-0.03, -0.07), (0.0, 0.0))
"""On test error and gap of each setting; the pair does 0.02 less than its sum on the error."""
SEEDS = range(12)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Draws that differ much more from each other than a setting from its twin."""
    random, rows = np.random.default_rng(0), []
    for noise in ("0.3", "0.6"):
        for seed in SEEDS:
            draw = 0.2 + 0.1 * random.standard_normal()
            for setting, (error, gap) in zip(SETTINGS, EFFECTS, strict=True):
                jitter = 0.002 * random.standard_normal(4)
                row = {"run": f"r{len(rows)}", "data.noise": noise, LR[0]: "", DECAY[0]: ""}
                row |= {"task.num_members": "", "trainer.max_steps": ""} | dict(setting)
                row |= {"data_seed": seed, "init_seed": seed, "train_seed": seed, "status": "finished"}
                row |= {"accuracy/test": 1 - draw - error + jitter[0], "gap/accuracy": draw + gap + jitter[1]}
                row |= {"loss/test": draw + jitter[2], "gap/loss": draw + jitter[3]}
                rows.append(row)
    rows[1] |= {"status": "diverged", "accuracy/test": ""}  # the first draw's larger step at noise 0.3
    with (tmp_path / "ledger.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def column(study: Path, noise: str, setting: tuple[tuple[str, str], ...], name: str) -> dict[str, float]:
    keys = (LR[0], DECAY[0], "task.num_members", "trainer.max_steps")
    with (study / "ledger.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["data.noise"] == noise and {key: row[key] for key in keys if row[key]} == dict(setting)
        ]
    return {row["data_seed"]: float(row[name]) for row in rows if row["status"] == "finished"}


def test_differences_and_intervals_are_those_of_a_paired_t_test(study: Path) -> None:
    runs = read_paired_runs(study)
    found = differences_of(runs)
    assert (runs.level_key, runs.levels, dict(runs.lost)) == ("noise", ["0.3", "0.6"], {"diverged": 1})
    assert len(found) == 8
    for (level, setting), differences in found.items():
        ours, twins = (column(study, level, one, "gap/accuracy") for one in (setting, ()))
        assert len(ours) == len(SEEDS) - (level == "0.3" and setting == (LR,))
        test = stats.ttest_rel(list(ours.values()), [twins[seed] for seed in ours])
        gap = differences["gap"]
        for level_of_confidence, half in ((0.95, gap.half), (1 - 0.05 / 8, gap.wide)):
            low, high = test.confidence_interval(level_of_confidence)
            assert (gap.mean - half, gap.mean + half) == pytest.approx((low, high), rel=1e-6, abs=1e-9)
        assert gap.differs == (test.pvalue < 0.05 / 8)


def test_outcomes_say_what_was_put_in(study: Path) -> None:
    runs = read_paired_runs(study)
    lowers, narrows, widens, raises = outcome_lines(runs, differences_of(runs))
    assert lowers == "lowers the test error: lr 0.1 (at 0.3); 0.1 (at 0.6)"
    assert narrows == "narrows the gap, test error alone: weight_decay 1e-3 (at 0.3); 1e-3 (at 0.6)"
    assert (widens[-4:], raises[-4:]) == ("none", "none")


def test_the_interaction_of_a_pair_is_what_its_sum_does_not_explain(study: Path) -> None:
    runs = read_paired_runs(study)
    rows = runs.interactions("0.6", (LR, DECAY))
    assert len(rows) == len(SEEDS)
    values = [column(study, "0.6", one, "accuracy/test")["3"] for one in ((LR, DECAY), (LR,), (DECAY,), ())]
    assert rows[sorted(map(str, SEEDS)).index("3")][0] == pytest.approx(
        -(values[0] - values[1] - values[2] + values[3])
    )
    assert np.mean([row[0] for row in rows]) == pytest.approx(0.02, abs=0.003)


def test_table_figure_and_compact_ledger(study: Path) -> None:
    found = report_interventions(study, study / "out", Console(quiet=True))
    text = (study / "out" / "interventions.md").read_text()
    assert "| num_members=4 |" in text, "the steps that match its compute do not name it"
    assert "**-0.0" in text
    assert (study / "out" / "interventions.png").stat().st_size > 5_000
    write_compact(read_paired_runs(study), study / "ledger.csv.gz")
    again = differences_of(read_paired_runs(study / "ledger.csv.gz"))
    assert again.keys() == found.keys()
    for place, differences in found.items():
        assert again[place]["gap"].mean == pytest.approx(differences["gap"].mean, abs=1e-5)


def test_mistakes_are_told(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "nowhere.csv")])
    assert "expected the ledger of a sweep" in capsys.readouterr().err
    lines = (study / "ledger.csv").read_text().splitlines()
    (study / "ledger.csv").write_text(
        "\n".join([lines[0], *(line for line in lines[1:] if ",,,," not in line)])
    )
    with pytest.raises(ConfigError, match="without any setting of their own"):
        read_paired_runs(study)
