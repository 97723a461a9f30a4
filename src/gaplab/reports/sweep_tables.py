"""The tables of a sweep: what ran, every setting's best, mean, deviation and interval, and what was lost."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from gaplab.reports.ledger import Row, Summary, summarize, varied_keys
from gaplab.reports.render import Table
from gaplab.runs.directory import read_json

SHOWN = (
    "loss/train",
    "loss/val",
    "loss/test",
    "accuracy/test",
    "gap/loss",
    "gap/accuracy",
    "modes/captured",
    "modes/high_quality",
    "modes/reverse_kl",
    "spiral/angle_std",
    "distance/sliced_w2_test",
    "coverage/coverage",
    "judge/accuracy_test",
    "gap/distance_sliced_w2",
)
"""The quantities of classifiers and of GANs that a sweep is judged by."""
MONITORS = ("loss/val", "distance/sliced_w2_val", "loss/test", "distance/sliced_w2_test")
"""What makes a run the best: the first of these that the sweep has. Smaller is better."""
HIGHER_IS_BETTER = ("accuracy/", "modes/captured", "modes/balanced", "modes/high_quality", "coverage/")
MOST_BEST, MOST_LOST = 10, 50


def shown_quantities(rows: Sequence[Row]) -> list[str]:
    """Return the quantities to show; those of an unknown task are its first six."""
    present = dict.fromkeys(tag for row in rows for tag in row.final)
    known = [tag for tag in SHOWN if tag in present]
    return known or list(present)[:6]


def monitor(rows: Sequence[Row]) -> str | None:
    """Return the quantity that makes a run the best, if the sweep has one."""
    return next((tag for tag in MONITORS if any(tag in row.final for row in rows)), None)


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Return the runs that have the monitor, the best first."""
    tag = monitor(rows)
    having = [row for row in rows if tag is not None and math.isfinite(row.final.get(tag, math.nan))]
    return sorted(having, key=lambda row: row.final[str(tag)])


def best_value(summary: Summary, quantity: str) -> float:
    return max(summary.values) if quantity.startswith(HIGHER_IS_BETTER) else min(summary.values)


def sweep_tables(sweep: Path, rows: Sequence[Row], groups: Mapping[str, Sequence[Row]]) -> list[Table]:
    """Return all tables of a sweep, from its directories alone."""
    tables = [Table("What ran", ("", ""), list(_facts(sweep, rows).items())), _best_runs(rows)]
    tables += [_by_setting(quantity, groups) for quantity in shown_quantities(rows)]
    lost = [row for row in rows if row.status != "finished"]
    if lost:
        cells = [
            (row.name, row.status, str(read_json(sweep / row.name / "run.json").get("error") or ""))
            for row in lost[:MOST_LOST]
        ]
        more = f" (the first {MOST_LOST} of {len(lost)})" if len(lost) > MOST_LOST else ""
        tables.insert(1, Table(f"Not finished{more}", ("run", "status", "reason"), cells))
    return [table for table in tables if table.rows]


def _facts(sweep: Path, rows: Sequence[Row]) -> dict[str, str]:
    record = read_json(sweep / rows[0].name / "run.json")
    git = record.get("git")
    counts = Counter(row.status for row in rows)
    facts = {
        "runs": f"{len(rows)}: " + ", ".join(f"{number} {status}" for status, number in counts.items()),
        "varied": ", ".join(varied_keys(rows)) or "seeds only",
        "command": record.get("command"),
        "git commit": git and git["commit"] + (" with changes" if git["dirty"] else ""),
        "started": record.get("started"),
        "seconds of all runs": f"{sum(row.seconds or 0 for row in rows):.1f}",
        "device": record.get("device"),
        "platform": record.get("platform"),
        "versions": ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items()),
    }
    return {key: str(text) for key, text in facts.items() if text not in (None, "")}


def _best_runs(rows: Sequence[Row]) -> Table:
    order, shown = ranked(rows)[:MOST_BEST], shown_quantities(rows)
    cells = [(row.name, *(number(row.final.get(tag)) for tag in shown)) for row in order]
    return Table(f"Best runs by {monitor(rows)} of the last weights", ("run", *shown), cells)


def _by_setting(quantity: str, groups: Mapping[str, Sequence[Row]]) -> Table:
    cells = []
    for name, members in groups.items():
        found = summarize(members, quantity)
        if found is None:
            continue
        low, high = found.mean - found.half_width, found.mean + found.half_width
        interval = "-" if math.isnan(low) else f"{number(low)} to {number(high)}"
        best = number(best_value(found, quantity))
        cells.append(
            (name, str(len(found.values)), best, number(found.mean), number(found.deviation), interval)
        )
    columns = ("setting", "runs", "best", "mean", "standard deviation", "95 % interval of the mean")
    return Table(f"{quantity} by setting", columns, cells)


def number(value: float | None) -> str:
    """Return a number as a cell: four decimals, or a power of ten where those would say nothing."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"
