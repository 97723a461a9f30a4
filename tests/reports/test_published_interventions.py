"""The committed ledger of the study of interventions, and the page made from it, against SciPy."""

from pathlib import Path

import pytest
from scipy import stats

from gaplab.reports.intervention_runs import TWIN, naming, read_paired_runs
from gaplab.reports.interventions import describe, differences_of, outcome_table, to_markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_study_of_interventions_is_what_its_ledger_says() -> None:
    folder = DOCS / "study" / "interventions"
    runs = read_paired_runs(folder / "ledger.csv.gz")
    assert runs.levels == ["0.3", "0.6", "0.9"]
    assert {len(of_one) for level in runs.levels for of_one in runs.values[level].values()} == {40}
    found = differences_of(runs)
    assert (folder / "interventions.md").read_text() == to_markdown(runs, found)
    page = (DOCS / "interventions.md").read_text()
    assert all(line in page for line in [describe(runs), *outcome_table(runs, found)])
    for name in ("optimizer.weight_decay", "network.norm", "data.num_points"):
        one = next(setting for setting in runs.settings if naming(setting)[0][0] == name)
        ours, twins = runs.values["0.9"][one], runs.values["0.9"][TWIN]
        test = stats.ttest_rel([ours[seeds][1] for seeds in ours], [twins[seeds][1] for seeds in ours])
        low, high = test.confidence_interval(1 - 0.05 / (len(runs.settings) * 3))
        gap = found["0.9", one]["gap"]
        assert (gap.mean - gap.wide, gap.mean + gap.wide) == pytest.approx((low, high), rel=1e-5)
