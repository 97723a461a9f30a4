"""The ledger of a sweep: one row a run, read from the run directories, and its summary by setting."""

import csv
import functools
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from gaplab.errors import ConfigError
from gaplab.runs.directory import read_json
from gaplab.runs.sweep_folder import runs_of
from gaplab.storage.atomic import replacing
from gaplab.storage.reading import read_yaml

SEEDS = ("seed", "data_seed", "init_seed", "train_seed", "order_seed")
FOLD = "data.fold"
"""Which part of the training points validates: what a seed is to other sweeps, a fold is to cross-validation."""
UNREADABLE = "unreadable"
"""The status of a run whose files are damaged or missing."""
PRUNED = "pruned"


@dataclass(slots=True)
class Row:
    """One run of a sweep."""

    name: str
    status: str
    settings: dict[str, str]
    """What the user set for this run, by key; seeds and the fold excluded."""
    seeds: dict[str, int]
    seconds: float | None
    final: dict[str, float] = field(default_factory=dict)
    """Scorecard, bounds and capacity of the last weights; empty for a run without a result."""
    reason: str = ""
    """Why the run is unreadable."""
    fold: str | None = None
    pruned_at: int | None = None
    """The step at which a search stopped it."""

    def flat(self) -> dict[str, Any]:
        """Return the row as it stands in ``ledger.csv``."""
        seeds = {f"{name}_seed": seed for name, seed in self.seeds.items()}
        return {
            "run": self.name,
            **self.settings,
            **({} if self.fold is None else {FOLD: self.fold}),
            **seeds,
            "status": self.status,
            **({} if self.pruned_at is None else {"pruned_at_step": self.pruned_at}),
            "seconds": self.seconds,
        } | (self.final)


@dataclass(slots=True)
class Summary:
    """Mean, standard deviation and 95 % t-interval of one quantity over the runs of one setting."""

    values: list[float]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation with n - 1; NaN for one value."""
        if len(self.values) < 2:
            return math.nan
        mean = self.mean
        squares = sum((value - mean) ** 2 for value in self.values)
        return math.sqrt(squares / (len(self.values) - 1))

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval of the mean (Student's t); NaN for one value."""
        return t_half_width(self.deviation, len(self.values))


def t_half_width(deviation: float, count: int) -> float:
    """Return t(0.975, n - 1) * s / sqrt(n)."""
    if count < 2:
        return math.nan
    return t_quantile(count - 1) * deviation / math.sqrt(count)


@functools.cache
def t_quantile(freedom: int, probability: float = 0.975) -> float:
    """Return the quantile of Student's t: with t = sqrt(v) tan(u) its density is c cos(u)^(v - 1)."""
    factor = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)

    def mass(angle: float, pieces: int = 400) -> float:
        """The probability between 0 and an angle, by Simpson's rule."""
        width = angle / pieces
        heights = [math.cos(i * width) ** (freedom - 1) for i in range(pieces + 1)]
        inner = 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2])
        return factor * width / 3 * (heights[0] + inner + heights[-1])

    low, high = (
        0.0,
        math.atan(1e4 / math.sqrt(freedom)) if freedom < 3 else math.atan(50 / math.sqrt(freedom)),
    )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mass(middle) < probability - 0.5 else (low, middle)
    return math.sqrt(freedom) * math.tan(high)


def read_ledger(sweep: Path) -> list[Row]:
    """Read every run of a sweep, in order of their names; see ``runs_of`` for which these are.

    Raises:
        ConfigError: If there is no run.
    """
    rows = [_read_row(run) for run in runs_of(sweep)]
    if not rows:
        raise ConfigError(f"{sweep}: expected the folder of a sweep, but no folder in it holds a run.json.")
    return rows


def _read_row(path: Path) -> Row:
    """Return a run as a row; one that cannot be read says why and does not cost the others."""
    try:
        record = read_json(path / "run.json")
        words = read_yaml(path / "overrides.yaml") or []
        settings = dict(str(word).lstrip("+~").partition("=")[::2] for word in words)
        fold = settings.pop(FOLD, None)
        settings = {key: value for key, value in settings.items() if key not in SEEDS and key != "run.root"}
        final: dict[str, float] = {}
        if os.path.isfile(f"{path}/result.json"):
            result = read_json(path / "result.json")
            for table in (result["last"], result.get("measures", {})):
                final |= {key: float(value) for key, value in table.items() if value is not None}
        seeds, seconds = dict(record.get("seeds", {})), record.get("seconds")
        seconds = None if seconds is None else float(seconds)
        row = Row(path.name, str(record["status"]), settings, seeds, seconds, final, fold=fold)
        row.pruned_at = int(record["pruned_at_step"]) if row.status == PRUNED else None
        return row
    except ConfigError as error:
        return Row(path.name, UNREADABLE, {}, {}, None, reason=str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{path}: a file lacks what a run writes ({type(error).__name__}: {error})."
        return Row(path.name, UNREADABLE, {}, {}, None, reason=reason)


def write_ledger(rows: Sequence[Row], file: Path) -> None:
    """Write ``ledger.csv``; the columns are the union over the runs."""
    flat = [row.flat() for row in rows]
    columns = list(all_keys(flat))
    with replacing(file) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(flat)


def varied_keys(rows: Sequence[Row]) -> list[str]:
    """Return the settings, seeds and folds excluded, that are not the same in all runs."""
    rows = [row for row in rows if row.status != UNREADABLE]
    return [
        key
        for key in all_keys(row.settings for row in rows)
        if any(row.settings.get(key) != rows[0].settings.get(key) for row in rows)
    ]


def all_keys(tables: Iterable[Mapping[str, object]]) -> dict[str, None]:
    """Return the keys of many tables, most of which have the same, in order."""
    return dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, tables))))


def final_tags(rows: Sequence[Row]) -> dict[str, None]:
    """Return what any run measured at its end, in order."""
    return all_keys(row.final for row in rows)


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of every key, or the whole key where several end alike.

    >>> short_keys(["data.noise", "optimizer.lr"])
    {'data.noise': 'noise', 'optimizer.lr': 'lr'}
    """
    ends = Counter(key.split(".")[-1] for key in keys)
    return {key: key if ends[key.split(".")[-1]] > 1 else key.split(".")[-1] for key in keys}


def group_by_setting(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the runs that differ in nothing but seeds and folds, by a text that names their setting."""
    names = short_keys(varied_keys(rows))
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.status == UNREADABLE:
            continue
        text = ", ".join(f"{name}={row.settings[key]}" for key, name in names.items() if key in row.settings)
        groups[text or "all runs"].append(row)
    return dict(sorted(groups.items(), key=lambda pair: natural(pair[0])))


def natural(text: str) -> list[tuple[float, str]]:
    """Return a key that sorts texts by the numbers in them.

    >>> sorted(["m=1000", "m=30", "m=3e-1"], key=natural)
    ['m=3e-1', 'm=30', 'm=1000']
    """
    parts = re.split(r"((?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", text)
    return [(float(part), "") if place % 2 else (math.inf, part) for place, part in enumerate(parts)]


def summarize(rows: Sequence[Row], quantity: str) -> Summary | None:
    """Return the summary of a quantity over the runs that have it; None if there is none."""
    values = [row.final[quantity] for row in rows if quantity in row.final]
    return Summary(values) if values else None


def bands(tables: Sequence[Mapping[int, Mapping[str, float]]]) -> dict[int, dict[str, float]]:
    """Return mean and 95 % interval over runs of every tag at every step.

    ``tables`` holds one history a run. A step counts only where all runs were measured; tags become
    ``<tag>``, ``<tag>_lower`` and ``<tag>_upper`` (without the last two for a single run).
    """
    common = sorted(set.intersection(*(set(table) for table in tables))) if tables else []
    result: dict[int, dict[str, float]] = {}
    for step in common:
        row: dict[str, float] = {}
        for tag in tables[0][step]:
            summary = Summary([table[step][tag] for table in tables if tag in table[step]])
            row[tag], half_width = summary.mean, summary.half_width
            if not math.isnan(half_width):
                row[f"{tag}_lower"] = row[tag] - half_width
                row[f"{tag}_upper"] = row[tag] + half_width
        result[step] = row
    return result
