"""Which capacity measures order the runs of a study by their gap: ``python -m gaplab.reports.ranking STUDY``.

STUDY is the folder of a sweep with ``measures=capacity`` or ``full``, or a compact ledger (``.csv.gz``), which
``--ledger FILE`` writes. Tables and figures go beside the ledger, or to ``--out FOLDER``.
"""

import csv
import math
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from gaplab.metrics.published_ranking import PUBLISHED
from gaplab.metrics.study_scores import Scores, share_between_settings, study_scores
from gaplab.reports.numbers import plus_minus
from gaplab.reports.ranking_table import GAP, StudyLedger, read_study, write_compact
from gaplab.reports.render import markdown_table
from gaplab.reports.study_command import study_command
from gaplab.storage.atomic import replacing, write_text

SHOWN = {
    "tau": "τ",
    "tau_b": "τ-b",
    "psi_mean": "Ψ",
    "information": "K",
    "sign_error/mean": "sign error, mean",
    "sign_error/percentile_90": "90 %",
    "sign_error/maximum": "max",
}
"""Scores of the summary, by their name in ``ranking.csv``."""
ON_TERMINAL = {
    "tau_b": "τ-b",
    "tau_b/equal_size": "τ-b=m",
    "psi_mean": "Ψ",
    "psi_mean/equal_size": "Ψ=m",
    "information": "K",
    "sign_error/mean": "error",
}
"""Scores that a terminal has room for; "=m" counts only pairs with equally many training points."""
AXES_IN_FIGURES = 2


def rank_study(source: Path, out: Path, console: Console | None = None) -> dict[str, Scores]:
    """Rank the measures of a study, write ``ranking.csv``, ``ranking.md`` and figures, and show the table.

    Raises:
        ConfigError: If there is no ledger or nothing to rank in it.
    """
    console = console or Console()
    ledger = read_study(source)
    scores = study_scores(
        ledger.table,
        ledger.axes,
        ledger.measures,
        GAP,
        ledger.seed,
        num_test_points=ledger.num_test_points,
        size_axis=ledger.size_axis,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_scores(scores, out / "ranking.csv")
    write_text(out / "ranking.md", to_markdown(ledger, scores))
    files = draw(ledger, scores, out)
    print_scores(ledger, scores, console)
    for file in (out / "ranking.csv", out / "ranking.md", *files):
        console.print(f"Written: {file}", highlight=False, soft_wrap=True)
    return scores


def by_rank(scores: Mapping[str, Scores]) -> list[str]:
    """Return the measures, the one with the largest Ψ first."""

    def key(name: str) -> float:
        psi = scores[name]["psi_mean"][0]
        return math.inf if math.isnan(psi) else -psi

    return sorted(scores, key=key)


def write_scores(scores: Mapping[str, Scores], file: Path) -> None:
    """Write every score of every measure, with its standard error over seeds and the published numbers."""
    names = list(next(iter(scores.values())))
    columns = [column for name in names for column in (name, f"{name} ±")]
    with replacing(file) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["measure", *columns, "published sign_error/mean", "published 90th percentile"])
        for measure in by_rank(scores):
            values = [f"{number:.5g}" for name in names for number in scores[measure][name]]
            writer.writerow([measure, *values, *(_text(number) for number in _published(measure))])


def to_markdown(ledger: StudyLedger, scores: Mapping[str, Scores]) -> str:
    """Return the ranking and the ψ of every axis as two Markdown tables, with what was left out."""
    heads, rows = _summary(ledger, scores)
    psi_heads = ["measure", *(f"ψ {axis}" for axis in ledger.axes)]
    psi_rows = [
        [measure, *(_with_error(scores[measure][f"psi/{axis}"], 2) for axis in ledger.axes)]
        for measure in by_rank(scores)
    ]
    tables = [markdown_table(heads, rows, numbers=True), markdown_table(psi_heads, psi_rows, numbers=True)]
    return "\n".join([describe(ledger), "", *tables[0], "", *tables[1], ""])


def print_scores(ledger: StudyLedger, scores: Mapping[str, Scores], console: Console) -> None:
    """Show the main scores on the terminal, without errors."""
    shown = {name: label for name, label in ON_TERMINAL.items() if name in next(iter(scores.values()))}
    table = Table(box=SIMPLE, padding=(0, 0, 0, 1))
    table.add_column("measure", no_wrap=True)
    for label in (*shown.values(), "publ."):
        table.add_column(label, justify="right", no_wrap=True)
    for measure in by_rank(scores):
        cells = [_with_error((scores[measure][name][0], math.nan), 3) for name in shown]
        table.add_row(measure, *cells, _text(_published(measure)[0]))
    console.print(describe(ledger), highlight=False)
    console.print(table)
    console.print(
        "error: mean sign error, publ.: that of Dziugaite et al. 2020. Errors over seeds or draws: ranking.md",
        highlight=False,
    )


def describe(ledger: StudyLedger) -> str:
    """Say how many runs count, and why the others do not."""
    lost = [f"{n} {reason}" for reason, n in ledger.counts.items() if reason not in ("runs", "usable")]
    level = ledger.stop_at_train_loss
    share = share_between_settings(ledger.table, ledger.axes, GAP)
    return (
        f"{ledger.counts['usable']} of {ledger.counts['runs']} runs"
        + (f" (left out: {', '.join(lost)})" if lost else "")
        + (f", training loss at most {level:g}" if level else "")
        + f", {ledger.num_test_points} test points, axes {', '.join(ledger.axes)}; settings explain "
        f"{share:.0%} of the gap's variance, seeds the rest"
    )


def draw(ledger: StudyLedger, scores: Mapping[str, Scores], out: Path) -> list[Path]:
    """Draw the ranking, and the gap against the measures coloured by the axes that move the gap most."""
    from gaplab.figures.rankings import draw_gap_against_measures, draw_ranking
    from gaplab.figures.rendering import save_figure

    figures = {"ranking.png": draw_ranking(scores, size_axis=ledger.size_axis is not None)}
    ranked = by_rank(scores)
    shown = [*ranked[:3], *ranked[-3:]] if len(ranked) > 6 else ranked
    for axis in sorted(ledger.axes, key=lambda axis: -_spread(ledger, axis))[:AXES_IN_FIGURES]:
        figures[f"gap_by_{axis}.png"] = draw_gap_against_measures(ledger.table, shown, GAP, axis)
    for name, figure in figures.items():
        save_figure(figure, out / name, dpi=110)
    return [out / name for name in figures]


def _spread(ledger: StudyLedger, axis: str) -> float:
    """How far the mean gaps at the values of an axis lie apart."""
    column, gap = ledger.table[axis], ledger.table[GAP]
    means = [float(gap[column == value].mean()) for value in set(column.tolist())]
    return max(means) - min(means)


def _summary(ledger: StudyLedger, scores: Mapping[str, Scores]) -> tuple[list[str], list[list[str]]]:
    suffixes = ["", "/equal_size"] if ledger.size_axis else [""]
    shown = {
        name + suffix: label + (", equal m" if suffix else "")
        for name, label in SHOWN.items()
        for suffix in suffixes
    }
    heads = ["measure", *shown.values(), "published mean", "published 90 %"]
    rows = [
        [
            measure,
            *(_with_error(scores[measure][name], 3) for name in shown),
            *(_text(number) for number in _published(measure)),
        ]
        for measure in by_rank(scores)
    ]
    return heads, rows


def _published(measure: str) -> tuple[float | None, float | None]:
    found = PUBLISHED.get(measure)
    return (found.mean, found.percentile_90) if found else (None, None)


def _with_error(score: tuple[float, float], digits: int) -> str:
    return plus_minus(*score, digits)


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def main(arguments: list[str]) -> None:
    """Rank the study that the command line names."""
    study_command(
        arguments, "ranking", __doc__, rank_study, lambda study, file: write_compact(read_study(study), file)
    )


if __name__ == "__main__":
    main(sys.argv[1:])
