"""What a run ends with on the terminal."""

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as TerminalTable

from gaplab.config.schema import Relation
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
        rows = [
            ("" if before and before[0] == row[0] else row[0], *row[1:])
            for before, row in zip([(), *table.rows], table.rows, strict=False)
        ]
        _print_table(Table(title, table.columns, rows), console)
        scale = result.last.get("scale/sqrt_params_over_points")
        if scale is not None:
            console.print(f"Heuristic scale sqrt(N/m) = {scale:.3f} (not a bound).", highlight=False)
    for bound in result.bounds:
        what = BOUNDED["test" if bound.name.startswith("hoeffding") else bound.quantity]
        console.print(
            f"Bound {bound.name}: {what} <= {bound.value:.4g} with probability {1 - bound.delta:.0%}"
            f"{' (vacuous)' if bound.vacuous else ''}.",
            highlight=False,
        )
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
    number = comparison.published
    at = f" at step {number.step}" if number.step is not None else ""
    measured = "not measured" if comparison.measured is None else f"{comparison.measured:.6g}"
    verdict = "[green]met[/green]" if comparison.met else "[red]not met[/red]"
    wanted = {
        Relation.near: f"{number.value:.6g} ± {number.tolerance:g}",
        Relation.at_most: f"at most {number.value:.6g}",
        Relation.at_least: f"at least {number.value:.6g}",
    }[number.relation]
    source = f" ({number.source})" if number.source else ""
    console.print(
        f"Published {number.name}{at}: {wanted}{source}; measured {measured}: {verdict}", highlight=False
    )
