"""What the page of a study shows of its ranking of capacity measures, read from what ``ranking.py`` has written."""

import csv
import io
from pathlib import Path

from gaplab.reports.numbers import number
from gaplab.reports.render import Table
from gaplab.storage.atomic import write_bytes
from gaplab.storage.reading import read_regular

COLUMNS = {
    "Ψ": "psi_mean",
    "τ-b": "tau_b",
    "sign error, mean": "sign_error/mean",
    "published": "published sign_error/mean",
}
"""Columns of the page to those of ``ranking.csv``."""


def ranking_table(sweep: Path) -> Table | None:
    """Return the capacity measures of a sweep, the best by Ψ first; None where they were not ranked."""
    content = read_regular(sweep / "ranking.csv")
    rows = [] if content is None else list(csv.DictReader(io.StringIO(content.decode(errors="replace"))))
    try:
        cells = [[row["measure"], *(_text(row[column]) for column in COLUMNS.values())] for row in rows]
    except (KeyError, ValueError, TypeError):  # of another version, or damaged
        return None
    title = (
        "Capacity measures: how well they order the runs by their gap (1: every pair; sign error 0.5: a coin)"
    )
    return Table(title, ("measure", *COLUMNS), cells) if cells else None


def _text(cell: str) -> str:
    return number(float(cell), 3) if cell else ""


def verdict_of_ranking(table: Table) -> str:
    """Say which measure orders the runs best."""
    measure, psi = table.rows[0][:2]
    return f"Of {len(table.rows)} capacity measures, {measure} orders the runs best by their gap (Ψ = {psi})."


def keep_ranking_picture(sweep: Path) -> list[str]:
    """Put the picture of the ranking among the figures of the sweep; return its name."""
    png = read_regular(sweep / "ranking.png")
    if png is None:
        return []
    write_bytes(sweep / "figures" / "ranking.png", png, durable=False)
    return ["ranking"]
