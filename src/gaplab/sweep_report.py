"""Everything about a sweep from its directories: ``python -m gaplab.sweep_report SWEEP``."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gaplab.config.checks import ConfigError
from gaplab.runs.gan_table import print_gan_table
from gaplab.runs.ledger import (
    Row,
    bands,
    group_by_setting,
    read_ledger,
    summarize,
    varied_keys,
    write_ledger,
)

LONGEST_LIST = 2_000
"""Characters of the list of runs that did not finish."""
MOST_SETTINGS_SHOWN = 60
"""A longer table is not read."""
SHOWN = ("loss/train", "loss/test", "accuracy/test", "gap/loss", "gap/accuracy")


def report_sweep(sweep: Path, console: Console | None = None) -> list[Row]:
    """Write ``ledger.csv``, the TensorBoard run ``summary`` and the figures of a sweep, and show its table.

    Raises:
        ConfigError: If the folder holds no run.
    """
    rows = read_ledger(sweep)
    write_ledger(rows, sweep / "ledger.csv")
    groups = group_by_setting(rows)
    write_summaries(sweep, groups)
    figures = draw_figures(sweep, rows)
    console = console or Console()
    if not print_gan_table(sweep, console):
        print_summary(rows, groups, console)
    console.print(
        f"Ledger: {sweep / 'ledger.csv'}" + "".join(f"\nFigure: {file}" for file in figures),
        highlight=False,
        soft_wrap=True,
    )
    return rows


def print_summary(rows: Sequence[Row], groups: dict[str, list[Row]], console: Console) -> None:
    """Show the mean, standard deviation and interval of each setting, and the best run."""
    finished = [row for row in rows if row.final]
    lost = ", ".join(f"{row.name}: {row.status}" for row in rows if row.status != "finished")
    if len(lost) > LONGEST_LIST:
        lost = ", ".join(f"{n} {status}" for status, n in Counter(row.status for row in rows).items())
    table = Table(title=f"{len(finished)} of {len(rows)} runs finished")
    table.add_column("setting")
    table.add_column("runs", justify="right")
    for quantity in SHOWN:
        table.add_column(f"{quantity}\nmean ± 95 % (sd)", justify="right")
    for name, members in groups.items():
        cells = []
        for quantity in SHOWN:
            found = summarize(members, quantity)
            cells.append(
                f"{found.mean:.4f} ± {found.half_width:.4f} ({found.deviation:.4f})" if found else "-"
            )
        table.add_row(name, str(sum(bool(row.final) for row in members)), *cells)
    if len(groups) <= MOST_SETTINGS_SHOWN:
        console.print(table)
    else:
        console.print(
            f"{len(finished)} of {len(rows)} runs finished, {len(groups)} settings: see the ledger."
        )
    if finished:
        best = min(finished, key=lambda row: row.final.get("loss/val", row.final.get("loss/test", 0.0)))
        chosen = "loss/val" if "loss/val" in best.final else "loss/test"
        console.print(f"Best by {chosen}: {best.name} ({best.final[chosen]:.4f})", highlight=False)
    if lost:
        console.print(f"Not finished: {lost}", highlight=False, soft_wrap=True)


def write_summaries(sweep: Path, groups: dict[str, list[Row]]) -> None:
    """Write one TensorBoard run a setting below ``summary``: means over seeds with their intervals."""
    from gaplab.runs.checkpoints import read_checkpoint
    from gaplab.runs.event_files import write_events

    margins = {
        tag: ["Margin", [tag, f"{tag}_lower", f"{tag}_upper"]]
        for tag in ("loss/train", "loss/test", "accuracy/test", "gap/loss")
    }
    for name, members in groups.items():
        histories = []
        for row in members:
            checkpoint = sweep / row.name / "checkpoints" / "last.ckpt"
            if row.final and checkpoint.is_file():  # a study may keep none
                histories.append(read_checkpoint(checkpoint)["callbacks"]["GapCurves"]["history"])
        if not histories:
            continue
        folder = sweep / "summary" / name.replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        write_events(folder, bands(histories), {"over seeds": margins})


def draw_figures(sweep: Path, rows: Sequence[Row]) -> list[Path]:
    """Draw the gap of the loss against every numeric setting that the sweep varies."""
    from gaplab.figures.sweeps import draw_gap_against

    files = []
    for key in varied_keys(rows):
        members: dict[float, list[Row]] = {}
        try:
            for row in rows:
                members.setdefault(float(row.settings[key].strip("[]")), []).append(row)
        except (KeyError, ValueError):
            continue  # words, or several widths, have no place on an axis
        found = {value: summarize(part, "gap/loss") for value, part in members.items()}
        points = {value: summary for value, summary in found.items() if summary is not None}
        if len(points) < 2:
            continue
        figure = draw_gap_against(
            key,
            list(points),
            [summary.mean for summary in points.values()],
            [summary.half_width for summary in points.values()],
            [len(summary.values) for summary in points.values()],
        )
        file = sweep / f"gap_against_{key}.png"
        figure.savefig(file, dpi=150)
        files.append(file)
    return files


def main(arguments: list[str]) -> None:
    """Report the sweep that the command line names."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m gaplab.sweep_report SWEEP", file=sys.stderr)
        sys.exit(2)
    try:
        report_sweep(Path(arguments[0]))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
