"""What runs and sweeps below a folder found, as plain values for a page."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaplab.errors import ConfigError
from gaplab.figures.palette import GAP, TEST, TRAIN, VAL
from gaplab.reports.bound_marks import bound_marks, guessing_error
from gaplab.reports.gap_curves import gap_curves
from gaplab.reports.intervals import FEWEST_FOR_INTERVAL, interval
from gaplab.reports.ledger import PRUNED, group_by_setting, read_ledger, summarize
from gaplab.reports.render import Table
from gaplab.reports.run_verdict import verdict_of_run
from gaplab.reports.score_tables import bound_table, score_table
from gaplab.reports.sweep_tables import setting_table, shown_quantities, verdict_of_sweep
from gaplab.runs.directory import read_json
from gaplab.tensorboard.read_curves import read_history

COLORS = {"train": TRAIN, "val": VAL, "test": TEST, "gap": GAP}


def findings_of_run(path: Path) -> dict[str, Any]:
    """Return verdict, curves, bounds and tables of a run, which may still be at work.

    Raises:
        ConfigError: If its files are damaged.
    """
    record = read_json(path / "run.json")
    status = str(record.get("status"))
    try:
        history = read_history(path)
        result = read_json(path / "result.json") if (path / "result.json").is_file() else None
        verdict = f"No result yet: the run is {status}."
        if status == PRUNED:
            verdict = f"Pruned by a search: {record.get('error')}."
        marks: list[dict[str, Any]] = []
        tables: list[Table] = []
        guessing = None
        if result is not None:
            verdict = verdict_of_run(result, history)
            marks = [mark._asdict() for mark in bound_marks(result)]
            guessing = guessing_error(result)
            tables = [table for table in (score_table(result), bound_table(result)) if table.rows]
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path.name}: expected the files of a run, but: {error}.") from error
    curves = [
        {
            "quantity": curve.quantity,
            "steps": curve.steps,
            "splits": curve.splits,
            "gap": curve.gap,
            "half_widths": curve.half_widths,
        }
        for curve in gap_curves(history)
    ]
    return {
        "verdict": verdict,
        "colors": COLORS,
        "curves": curves,
        "marks": marks,
        "guessing": guessing,
        "tables": _plain(tables),
    }


def findings_of_sweep(path: Path) -> dict[str, Any]:
    """Return the verdict of a sweep, its table by setting, and intervals of the gaps.

    Raises:
        ConfigError: If the folder holds no run.
    """
    rows = read_ledger(path)
    groups = group_by_setting(rows)
    forests = []
    for quantity in [tag for tag in shown_quantities(rows) if tag.startswith("gap/")]:
        lines = []
        for name, members in groups.items():
            found = summarize(members, quantity)
            if found is not None and math.isfinite(found.mean):
                few = len(found.values) < FEWEST_FOR_INTERVAL  # the runs themselves say more
                ends = None if few else list(interval(found, quantity))
                lines.append({"label": name, "mean": found.mean, "ends": ends, "values": found.values})
        forests.append({"quantity": quantity, "lines": lines})
    return {
        "verdict": verdict_of_sweep(rows, groups),
        "colors": COLORS,
        "forests": forests,
        "tables": _plain([setting_table(rows, groups)]),
    }


def _plain(tables: Sequence[Table]) -> list[dict[str, Any]]:
    return [
        {"title": t.title, "columns": list(t.columns), "rows": [list(row) for row in t.rows]} for t in tables
    ]
