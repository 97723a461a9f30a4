"""A verdict on the terminal and as a page of Markdown."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from gaplab.figures.rendering import save_png
from gaplab.phenomena.verdict import Phenomenon, Verdict
from gaplab.runs.atomic import replacing


def print_verdict(phenomenon: Phenomenon, verdict: Verdict) -> None:
    """Print expectation, measurement and outcome of every check, and the table behind them."""
    console = Console(highlight=False, emoji=False)
    console.print(f"\n[bold]{phenomenon.title}[/bold]\n{phenomenon.claim}")
    table = Table(*verdict.columns)
    for row in verdict.rows:
        table.add_row(*map(cell, row))
    console.print(table)
    for check in verdict.checks:
        outcome = "[green]holds[/green]" if check.holds else "[red]does not hold[/red]"
        console.print(f"Expected: {check.expectation}\n  measured: {check.measured}: {outcome}")
    if verdict.remark:
        console.print(verdict.remark)
    console.print(f"Verdict: {outcome_of(verdict)}. Reference: {phenomenon.reference}.")


def write_page(
    phenomenon: Phenomenon, verdict: Verdict, page: Path, *, figures: str = ".", command: str = ""
) -> None:
    """Write the page and, into the folder ``figures`` beside it, its pictures."""
    lines = [f"# {phenomenon.title}", "", phenomenon.claim, "", f"**Verdict: {outcome_of(verdict)}.**", ""]
    if command:
        lines += [f"`{command}`", ""]
    lines += markdown_table(
        ("expected", "measured", "outcome"),
        [(c.expectation, c.measured, "holds" if c.holds else "**does not hold**") for c in verdict.checks],
    )
    for name, figure in verdict.figures.items():
        save_png(figure, page.parent / figures / f"{name}.png")
        lines += ["", f"![{name.replace('_', ' ')}]({figures}/{name}.png)"]
    lines += ["", *markdown_table(verdict.columns, verdict.rows)]
    if verdict.remark:
        lines += ["", verdict.remark]
    lines += ["", f"Source: {phenomenon.reference}.", ""]
    with replacing(page) as temporary:
        temporary.write_text("\n".join(lines))


def outcome_of(verdict: Verdict) -> str:
    return "holds" if verdict.holds else "does not hold"


def cell(value: object) -> str:
    """A cell as text: four significant digits for numbers."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def markdown_table(columns, rows) -> list[str]:  # type: ignore[no-untyped-def]
    def line(cells) -> str:  # type: ignore[no-untyped-def]
        return "| " + " | ".join(cell(value).replace("|", "\\|") for value in cells) + " |"

    return [line(columns), line("---" for _ in columns), *(line(row) for row in rows)]
