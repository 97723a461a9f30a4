"""The ledger of a study as columns: the design, the seeds, the gap and every measure of each usable run."""

import csv
import gzip
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gaplab.errors import ConfigError
from gaplab.metrics.capacity.catalogue import is_measure
from gaplab.runs.directory import read_config
from gaplab.storage.atomic import replacing

NOT_AXES = {
    *("run", "status", "seconds", "experiment", "data_seed", "init_seed", "train_seed", "order_seed"),
    *("stop_at_train_loss", "num_test_points"),
}
KEPT = ("run", "status", "loss/train", "accuracy/train", "gap/loss", "gap/accuracy")
"""Columns of the compact ledger beside design, seeds and measures."""
MEASURE = "capacity/"
GAP, SEED, DRAW = "gap/accuracy", "init_seed", "data_seed"


@dataclass(slots=True)
class StudyLedger:
    """What a ranking needs: ``table`` has a column [R] for every axis, the seed, the gap and every measure."""

    axes: list[str]
    measures: list[str]
    table: dict[str, Any]
    counts: dict[str, int]
    """How many runs there are, and how many are left out for which reason."""
    num_test_points: int
    stop_at_train_loss: float | None
    rows: list[dict[str, str]] = field(repr=False)
    """All rows as they stand in the file."""

    @property
    def seed(self) -> str:
        """The column that repeats a setting: draws of the points where there are several, else seeds."""
        return DRAW if len(np.unique(self.table[DRAW])) > 1 else SEED

    @property
    def size_axis(self) -> str | None:
        """The axis of the number of training points, if there is one."""
        return "num_points" if "num_points" in self.axes else None


def read_study(source: Path) -> StudyLedger:
    """Read a study from the folder of its sweep, or from a compact ledger (``.csv`` or ``.csv.gz``).

    A run is usable if it has finished, has reached the level of training loss that stops it (if one is set),
    and every measure is finite. Axes are what the sweep varies beside seeds; a list of widths that are all
    equal becomes ``depth`` and ``width``.

    Raises:
        ConfigError: If there is no ledger, or if it has no usable run, no measures or no axis.
    """
    rows = _read_rows(source)
    level = rows[0].get("stop_at_train_loss")
    counts = Counter({"runs": len(rows)})
    usable = []
    measures = [
        name for name in rows[0] if name.startswith(MEASURE) and is_measure(name.removeprefix(MEASURE))
    ]
    if not measures:
        raise ConfigError(
            f"{source}: expected columns {MEASURE}..., but there are none. Train with measures=capacity."
        )
    for row in rows:
        if row["status"] != "finished":
            counts[row["status"]] += 1
        elif not row.get(GAP):
            counts["no gap in accuracy"] += 1
        elif level and float(row["loss/train"]) > float(level):
            counts["unconverged"] += 1
        elif not all(row[name] for name in measures):
            counts["a measure is infinite"] += 1
        else:
            usable.append(row)
    counts["usable"] = len(usable)
    axes = _axes(usable)
    if not axes:
        raise ConfigError(f"{source}: expected usable runs of several settings, but got {dict(counts)}.")
    table: dict[str, Any] = {}
    for key in axes:
        table[key.split(".")[-1]] = _column([row[key] for row in usable])
    table[DRAW] = _column([row.get(DRAW, "0") for row in usable])
    for key in (GAP, SEED, *measures):
        table[key.removeprefix(MEASURE)] = _column([row[key] for row in usable])
    return StudyLedger(
        [key.split(".")[-1] for key in axes],
        [name.removeprefix(MEASURE) for name in measures],
        table,
        dict(counts),
        int(rows[0]["num_test_points"]),
        float(level) if level else None,
        rows,
    )


def write_compact(ledger: StudyLedger, file: Path) -> None:
    """Write all runs with design, seed, gap and measures (five digits) as gzipped CSV, without a date in it."""
    axes = _axes(ledger.rows)
    draws = [DRAW] if ledger.seed == DRAW else []
    columns = [*axes, *draws, SEED, *KEPT[1:], *(MEASURE + name for name in ledger.measures)]
    columns += ["stop_at_train_loss", "num_test_points"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in ledger.rows:
        writer.writerow({key: _short(row.get(key, "")) for key in columns})
    with replacing(file) as temporary:
        temporary.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))


def _read_rows(source: Path) -> list[dict[str, str]]:
    file = source / "ledger.csv" if source.is_dir() else source
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: expected the ledger of a sweep, but: {error.strerror}.") from error
    text = gzip.decompress(raw).decode() if file.suffix == ".gz" else raw.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows:
        raise ConfigError(f"{file}: expected a row a run, but there is none.")
    if source.is_dir():
        config = read_config(source / rows[0]["run"])
        facts = {
            "stop_at_train_loss": config["trainer"]["stop_at_train_loss"],
            "num_test_points": config["data"]["num_test_points"],
        }
        words = {key: "" if value is None else str(value) for key, value in facts.items()}
        rows = [row | words for row in rows]
    return [_with_shape(row) for row in rows]


def _with_shape(row: dict[str, str]) -> dict[str, str]:
    """Replace a list of equal widths by its length and its value."""
    widths = row.get("network.widths")
    values = json.loads(widths) if widths else []
    if not values or len(set(values)) > 1:
        return row
    shape = {"depth": str(len(values)), "width": str(values[0])}
    return shape | {key: value for key, value in row.items() if key != "network.widths"}


def _axes(rows: list[dict[str, str]]) -> list[str]:
    keys = [key for key in rows[0] if "/" not in key and key not in NOT_AXES] if rows else []
    return [key for key in keys if len({row[key] for row in rows}) > 1]


def _column(texts: list[str]) -> Any:
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        return np.array(texts)


def _short(text: str) -> str:
    try:
        return f"{float(text):.5g}" if "." in text else text
    except ValueError:
        return text
