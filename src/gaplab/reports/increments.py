"""Which measures of a study tell more than its hyperparameters: ``python -m gaplab.reports.increments STUDY``.

STUDY is the folder of a sweep with ``measures=capacity`` or ``full``, or a compact ledger (``.csv.gz``). The
table and the figure go beside the ledger, or to ``--out FOLDER``.
"""

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from gaplab.errors import ConfigError
from gaplab.metrics.increments import Increment, increments
from gaplab.metrics.published_ranking import PUBLISHED
from gaplab.reports.ranking_table import GAP, StudyLedger, read_study
from gaplab.reports.study_command import study_command
from gaplab.storage.atomic import replacing

LEAST_SETTINGS = 20


def study_increments(ledger: StudyLedger, *, num_resamples: int = 499) -> dict[str, Increment]:
    """Return what every measure of a study adds to its design, the one that removes most error first.

    Raises:
        ConfigError: If the study has too few settings to leave any out.
    """
    codes = [np.unique(ledger.table[axis], return_inverse=True)[1].reshape(-1) for axis in ledger.axes]
    num_settings = len(np.unique(np.stack(codes), axis=1).T)
    if num_settings < LEAST_SETTINGS:
        raise ConfigError(
            f"Expected at least {LEAST_SETTINGS} settings of {', '.join(ledger.axes)}, of which a tenth is left out "
            f"in turn, but the ledger has {num_settings}."
        )
    columns = {name: ledger.table[name] for name in ledger.measures}
    found = increments(codes, columns, ledger.table[GAP], num_resamples=num_resamples)
    return dict(sorted(found.items(), key=lambda item: -item[1].error_removed))


def write_increments(found: Mapping[str, Increment], file: Path) -> None:
    """Write every number of every measure, and the published ones."""
    heads = []
    for name in ("between", "within"):
        heads += [f"residual correlation {name}", f"{name} low", f"{name} high", f"{name} q"]
    heads += ["error removed", "error removed low", "error removed high"]
    with replacing(file) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["measure", *heads, "published residual correlation", "published error removed"])
        for measure, increment in found.items():
            numbers = [
                value for field in increment for value in (field if isinstance(field, tuple) else [field])
            ]
            known = PUBLISHED.get(measure)
            published = [known.residual_correlation, known.error_removed] if known else ["", ""]
            writer.writerow([measure, *(f"{number:.4g}" for number in numbers), *published])


def print_increments(ledger: StudyLedger, found: Mapping[str, Increment], console: Console) -> None:
    """Show the table; a correlation that a permutation test at 5 % (false discoveries) does not find is in brackets."""
    table = Table(box=SIMPLE, padding=(0, 0, 0, 1))
    table.add_column("measure", no_wrap=True)
    for head in ("settings", "seeds", "removes", "95 %", "publ."):
        table.add_column(head, justify="right", no_wrap=True)
    for measure, one in found.items():
        low, high = (f"{100 * limit:.1f}" for limit in one.error_removed_interval)
        known = PUBLISHED.get(measure)
        table.add_row(
            measure,
            _tested(one.between, one.between_q),
            _tested(one.within, one.within_q),
            f"{100 * one.error_removed:.1f}",
            f"{low} to {high}",
            f"{100 * known.error_removed:.1f}" if known else "",
        )
    console.print(f"{ledger.counts['usable']} runs; design: {', '.join(ledger.axes)}")
    console.print(table)
    console.print(
        "settings, seeds: correlation of measure and gap, design regressed out, among settings and among the runs of "
        "one; in brackets: not found at a false discovery rate of 5 %. removes: % of the squared error out of fold. "
        "publ.: the same of the runs of Dziugaite et al. 2020",
        highlight=False,
    )


def _tested(correlation: float, q: float) -> str:
    return f"{correlation:.2f}" if q <= 0.05 else f"({correlation:.2f})"


def report_increments(source: Path, out: Path) -> None:
    """Write ``increments.csv`` and ``increments.png`` of a study, and show the table.

    Raises:
        ConfigError: If there is no ledger with measures and a gap, or too few settings to leave any out.
    """
    ledger = read_study(source)
    found = study_increments(ledger)
    from gaplab.figures.rankings import draw_increments
    from gaplab.figures.rendering import save_figure

    out.mkdir(parents=True, exist_ok=True)
    write_increments(found, out / "increments.csv")
    save_figure(draw_increments(found), out / "increments.png", dpi=110)
    console = Console()
    print_increments(ledger, found, console)
    for name in ("increments.csv", "increments.png"):
        console.print(f"Written: {out / name}", highlight=False, soft_wrap=True)


def main(arguments: list[str]) -> None:
    """Write the table and the figure of the study that the command line names, and show the table."""
    study_command(arguments, "increments", __doc__, report_increments)


if __name__ == "__main__":
    main(sys.argv[1:])
