"""Everything about a sweep, made from the directories of its runs."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from gaplab.reports.intervals import interval_text
from gaplab.reports.ledger import PRUNED, Row, group_by_setting, read_ledger, summarize, write_ledger
from gaplab.reports.numbers import number
from gaplab.reports.ranking_page import keep_ranking_picture, ranking_table, verdict_of_ranking
from gaplab.reports.render import Report, read_pictures, to_html, to_markdown
from gaplab.reports.sample_tables import print_sample_tables, sample_tables
from gaplab.reports.sweep_figures import MOST_PANELS, draw_samples_of_runs, draw_sweep
from gaplab.reports.sweep_tables import (
    best_value,
    finished_of,
    monitor,
    most_possible,
    ranked,
    shown_quantities,
    sweep_tables,
    verdict_of_sweep,
)
from gaplab.reports.tensorboard_summary import write_summary
from gaplab.storage.atomic import write_text
from gaplab.tensorboard.links import how_to_look

LONGEST_LIST = 2_000
"""Characters of the list of runs that did not finish."""
CELL = 20
"""Characters of a line of a cell that lists values."""
MOST_SHOWN = 12
"""Settings that a terminal has room for; the page has all."""


def report_sweep(
    sweep: Path, console: Console | None = None, rank: Callable[[Path], object] | None = None
) -> list[Row]:
    """Write the ledger, the page, the figures and the TensorBoard run ``summary`` of a sweep; show its table.

    Args:
        sweep: The folder of the sweep.
        console: Where the table is shown.
        rank: Called when the ledger is written: ranks the capacity measures of a study, for the page to show.

    Raises:
        ConfigError: If the folder holds no run.
    """
    console = console or Console()
    rows = read_ledger(sweep)
    write_ledger(rows, sweep / "ledger.csv")
    if rank is not None:
        rank(sweep)
    groups = group_by_setting(rows)
    gans = sample_tables(sweep, rows)
    others = sweep_tables(sweep, rows, groups)
    ranking = ranking_table(sweep)
    others[0].folded = bool(gans or ranking)  # the page has another table that tells more
    report = Report(f"Sweep {sweep.name}", [*([ranking] if ranking else []), *gans, *others])
    of_study = [verdict_of_ranking(ranking)] if ranking else []
    report.verdict = " ".join([*of_study, verdict_of_sweep(rows, groups)])
    leading = keep_ranking_picture(sweep) if ranking else draw_samples_of_runs(sweep, rows)
    names = [*leading, *draw_sweep(sweep, rows)]
    report.pictures = read_pictures(sweep / "figures", names)
    report.num_leading = len(leading) + MOST_PANELS
    page = sweep / "report.html"
    write_text(page, to_html(report))
    write_text(sweep / "report.md", to_markdown(report, sweep / "figures"))
    images = {name: (sweep / "figures" / f"{name}.png").read_bytes() for name in names}
    write_summary(sweep, rows, groups, to_markdown(report), images)
    if gans:
        print_sample_tables(gans, console)
        print_lost(rows, console)
    else:
        print_summary(rows, groups, console)
    for line in (f"Ledger: {sweep / 'ledger.csv'}", f"Report: {page}", how_to_look(sweep)):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    return rows


def print_summary(rows: Sequence[Row], groups: Mapping[str, Sequence[Row]], console: Console) -> None:
    """Show the best, the mean and the interval of each setting, and the best run."""
    table = Table(title=finished_of(rows))
    table.box, table.show_edge, table.padding = SIMPLE, False, (0, 0, 0, 1)
    table.add_column("setting", overflow="fold")
    table.add_column("quantity", no_wrap=True)
    for column in ("runs", "best", "mean", "95 % or values"):
        table.add_column(column, justify="right", no_wrap=True)
    shown = shown_quantities(rows)
    for name, members in list(groups.items())[:MOST_SHOWN]:
        for quantity in shown:
            found = summarize(members, quantity)
            if found is not None:
                best = "" if quantity.startswith("gap/") else number(best_value(found, quantity, members))
                spread = fill(interval_text(found, quantity, most_possible(members, quantity)), CELL)
                table.add_row(name, quantity, str(len(found.values)), best, number(found.mean), spread)
                name = ""
        table.add_section()
    console.print(table)
    if len(groups) > MOST_SHOWN:
        console.print(f"{len(groups) - MOST_SHOWN} more settings are in the report.", highlight=False)
    best_runs, tag = ranked(rows), monitor(rows)
    if best_runs and tag is not None:
        best_run = best_runs[0]
        console.print(verdict_of_sweep(rows, groups), highlight=False, markup=False)
        text = f"Best run by {tag}: {best_run.name} ({number(best_run.final[tag])})"
        console.print(text, highlight=False, soft_wrap=True, markup=False)
    print_lost(rows, console)


def print_lost(rows: Sequence[Row], console: Console) -> None:
    """Name the runs that did not finish."""
    gone = [row for row in rows if row.status not in ("finished", PRUNED)]
    lost = ", ".join(f"{row.name}: {row.status}" for row in gone)
    if len(lost) > LONGEST_LIST:
        counts = Counter(row.status for row in gone)
        lost = ", ".join(f"{number} {status}" for status, number in counts.items())
    if lost:
        console.print(f"Not finished: {lost}", highlight=False, soft_wrap=True, markup=False)
