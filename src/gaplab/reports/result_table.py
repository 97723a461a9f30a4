"""What a run ends with on the terminal."""

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as TerminalTable

from gaplab.config.schema import Relation
from gaplab.reports.numbers import number
from gaplab.reports.render import Table
from gaplab.reports.score_tables import BOUNDED, measure_tables, score_table
from gaplab.runs.results import Comparison, Result


def print_result(result: Result, console: Console) -> None:
    """Print the table that a run ends with, its bounds and measures, and published numbers."""
    facts = result.as_json()
    table = score_table(facts)
    if "ceiling" in table.columns:
        for weights in dict.fromkeys(row[0] for row in table.rows):
            rows = [row[1:] for row in table.rows if row[0] == weights]
            title = f"{weights}, {result.num_parameters} parameters"
            _print_table(Table(title, table.columns[1:], rows), console, dense=True)
        console.print("Ceiling: what a perfect sampler gets at this sample size.", highlight=False)
    else:
        title = f"{result.num_parameters} parameters, {result.num_train_points} training points"
        first = dict(zip([row[0] for row in reversed(table.rows)], reversed(table.rows), strict=True))
        rows = [(row[0] if first[row[0]] is row else "", *row[1:]) for row in table.rows]
        _print_table(Table(title, table.columns, rows), console)
        scale, bayes = (result.last.get(tag) for tag in ("scale/sqrt_params_over_points", "bayes/loss"))
        if scale is not None:
            console.print(f"Heuristic scale sqrt(N/m) = {scale:.3f} (not a bound).", highlight=False)
        if bayes is not None:
            console.print(
                f"Bayes error: no predictor has a smaller expected loss than {number(bayes)}.",
                highlight=False,
            )
    for bound in result.bounds:
        what = BOUNDED["test" if bound.name.startswith("hoeffding") else bound.quantity]
        console.print(
            f"Bound {bound.name}: {what} <= {bound.value:.4g} with probability {1 - bound.delta:.0%}"
            f"{' (vacuous)' if bound.vacuous else ''}.",
            highlight=False,
        )
    for remark in result.remarks:
        console.print(remark, highlight=False, markup=False)
    for measures in measure_tables(facts):
        _print_table(measures, console)
    for comparison in result.comparisons:
        _print_comparison(comparison, console)


def _print_table(table: Table, console: Console, *, dense: bool = False) -> None:
    """Print a table whose numbers are never cut: names are folded where the terminal is too narrow."""
    shown = TerminalTable(title=table.title)
    if dense:
        shown.box, shown.show_edge, shown.padding = SIMPLE, False, (0, 0, 0, 1)
    for column in table.columns:
        words = column in ("weights", "quantity", "measure")
        shown.add_column(column, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)


def _print_comparison(comparison: Comparison, console: Console) -> None:
    published = comparison.published
    at = f" at step {published.step}" if published.step is not None else ""
    measured = "not measured" if comparison.measured is None else f"{comparison.measured:.6g}"
    verdict = "[green]met[/green]" if comparison.met else "[red]not met[/red]"
    wanted = {
        Relation.near: f"{published.value:.6g} ± {published.tolerance:g}",
        Relation.at_most: f"at most {published.value:.6g}",
        Relation.at_least: f"at least {published.value:.6g}",
    }[published.relation]
    source = f" ({published.source})" if published.source else ""
    console.print(
        f"Published {published.name}{at}: {wanted}{source}; measured {measured}: {verdict}", highlight=False
    )
