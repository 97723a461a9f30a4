"""A verdict on the terminal and as a page of Markdown."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gaplab.figures.rendering import save_figure
from gaplab.phenomena.verdict import Phenomenon, Verdict
from gaplab.reports.render import markdown_table
from gaplab.storage.atomic import write_text


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
    for witness in verdict.witnesses:
        outcome = "[green]seen[/green]" if witness.holds else "[red]NOT SEEN: the code is wrong[/red]"
        console.print(
            f"Witness (cannot fail, no verdict): {witness.expectation}\n  {witness.measured}: {outcome}"
        )
    if verdict.remark:
        console.print(verdict.remark)
    console.print(f"Verdict: {outcome_of(verdict)}. Reference: {phenomenon.reference}.")


def write_page(
    phenomenon: Phenomenon,
    verdict: Verdict,
    page: Path,
    *,
    folder: str = "",
    prefix: str = "",
    command: str = "",
) -> None:
    """Write the page and its pictures into ``folder`` beside it; their names start with ``prefix``."""
    lines = [f"# {phenomenon.title}", "", phenomenon.claim, "", f"**Verdict: {outcome_of(verdict)}.**", ""]
    if command:
        lines += [f"`{command}`", ""]
    lines += markdown_table(
        ("expected", "measured", "outcome"),
        [(c.expectation, c.measured, "holds" if c.holds else "**does not hold**") for c in verdict.checks],
    )
    lines += [
        "",
        "A line that speaks of a mean holds if the mean's 95 % interval over seeds does; every other holds if each "
        "seed does. Ranges run over seeds, and over settings where a line speaks of several; n counts values.",
    ]
    if verdict.witnesses:
        lines += [
            "",
            "Witnesses: theorems and arithmetic, which fail only if the code is wrong. No part of the verdict.",
            "",
        ]
        lines += markdown_table(
            ("witness", "measured", "outcome"),
            [(w.expectation, w.measured, "seen" if w.holds else "**not seen**") for w in verdict.witnesses],
        )
    for name, figure in verdict.figures.items():
        picture = Path(folder) / f"{prefix}{name}.png"
        save_figure(figure, page.parent / picture)
        lines += ["", f"![{name.replace('_', ' ')}]({picture})"]
    lines += ["", *markdown_table(verdict.columns, [[cell(value) for value in row] for row in verdict.rows])]
    if verdict.remark:
        lines += ["", verdict.remark]
    lines += ["", f"Source: {phenomenon.reference}.", ""]
    _write(page, lines)


def write_index(verdicts: Mapping[str, tuple[Phenomenon, Verdict]], page: Path, *, num_seeds: int) -> None:
    """Write the table of all verdicts."""
    rows = [
        (f"[{phenomenon.title}]({name}.md)", phenomenon.claim, f"{_number_met(verdict)}", outcome_of(verdict))
        for name, (phenomenon, verdict) in verdicts.items()
    ]
    lines = [
        "# Phenomena",
        "",
        f"Written by `make phenomena` from {num_seeds} seeds; an expectation is met if every seed meets it or, where "
        "it speaks of a mean, if the mean's 95 % interval does. Witnesses (theorems, arithmetic) do not count. "
        "One of them alone: `python train.py experiment=phenomena/NAME`.",
        "",
        *markdown_table(("phenomenon", "claim", "expectations met", "verdict"), rows),
        "",
    ]
    _write(page, lines)


def write_checks(verdicts: Mapping[str, tuple[Phenomenon, Verdict]], page: Path, *, command: str) -> None:
    """Write every expectation with what was measured: what other seeds say than those of the pages."""
    rows = [
        (f"[{name}]({name}.md)", c.expectation, c.measured, "holds" if c.holds else "**does not hold**")
        for name, (_, verdict) in verdicts.items()
        for c in verdict.checks
    ]
    lines = [
        "# Do the verdicts hold for other seeds?",
        "",
        f"`{command}`",
        "",
        *markdown_table(("phenomenon", "expected", "measured", "outcome"), rows),
        "",
    ]
    _write(page, lines)


def _number_met(verdict: Verdict) -> str:
    return f"{sum(check.holds for check in verdict.checks)} of {len(verdict.checks)}"


def _write(page: Path, lines: list[str]) -> None:
    write_text(page, "\n".join(lines))


def outcome_of(verdict: Verdict) -> str:
    return "holds" if verdict.holds else "does not hold"


def cell(value: object) -> str:
    """A cell as text: four significant digits for numbers."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
