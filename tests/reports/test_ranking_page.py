"""What the page of a study shows of its ranking."""

from pathlib import Path

from gaplab.reports.ranking_page import ranking_table, verdict_of_ranking
from gaplab.reports.sweep_report import report_sweep
from left_runs import leave_run

RANKING = """measure,psi_mean,psi_mean ±,tau_b,tau_b ±,sign_error/mean,published sign_error/mean
path_norm,0.8,0.01,0.75,0.02,0.1,0.2
params,-0.25,0.01,-0.5,0.02,0.6,
"""


def rank(sweep: Path) -> None:
    assert (sweep / "ledger.csv").is_file(), "the ranking reads the ledger"
    (sweep / "ranking.csv").write_text(RANKING)


def test_a_study_begins_with_its_ranking(tmp_path: Path) -> None:
    for seed in range(2):
        leave_run(tmp_path / f"{seed}", [f"seed={seed}"], 0.1)
    report_sweep(tmp_path, rank=rank)
    text = (tmp_path / "report.md").read_text()
    assert "Of 2 capacity measures, path_norm orders the runs best by their gap (Ψ = 0.800)." in text
    assert text.index("| path_norm | 0.800 | 0.750 | 0.100 | 0.200 |") < text.index("## By setting")
    assert "| params | -0.250 | -0.500 | 0.600 |  |" in text


def test_a_damaged_ranking_is_none(tmp_path: Path) -> None:
    assert ranking_table(tmp_path) is None
    for content in ("", "measure,psi_mean\npath_norm,0.5\n", RANKING.replace("0.75", "much")):
        (tmp_path / "ranking.csv").write_text(content)
        assert ranking_table(tmp_path) is None
    (tmp_path / "ranking.csv").write_text(RANKING)
    table = ranking_table(tmp_path)
    assert table is not None
    assert verdict_of_ranking(table).startswith("Of 2 capacity measures, path_norm")
