"""Tables of a user's: read from a file, split, turned into numbers; every mistake is one sentence."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gaplab.config.checks import nearest
from gaplab.config.data import SIZE_KEYS
from gaplab.config.data_files import FileConfig, TargetKind
from gaplab.data.splits import cut_rows
from gaplab.errors import ConfigError

Column = NDArray[Any]
Columns = dict[str, Column]

MOST_CLASSES = 100
"""Different whole numbers that a target may have to count as classes."""
SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}
EXAMPLES = ".csv, .parquet or .npz"


@dataclass(slots=True)
class Examples:
    """Tensors by split, how many classes there are (0 for real targets), and what a run records of them."""

    splits: dict[str, tuple[Any, Any]]
    num_classes: int | None
    facts: dict[str, Any]


def load_table(config: FileConfig, generator: torch.Generator) -> Examples:
    """Read a table, choose its columns and split its rows.

    Raises:
        ConfigError: If the file cannot be read, a column is missing, or a value is.
    """
    assert config.path is not None, "FileConfig checks it"
    path = Path(config.path)
    columns = read_columns(path)
    target = _column(columns, config.target, "data.target")
    others = [name for name in columns if name not in (config.target, config.split_column)]
    names = config.features or others
    if config.target in names:
        raise ConfigError(
            f"data.features: expected columns beside the target, but got {config.target!r} too."
        )
    if not names:
        raise ConfigError(f"data.features: expected a column beside {config.target!r}, but {path} has none.")
    points = _features({name: _column(columns, name, "data.features") for name in names})
    labels, classes = _targets(config, target)
    if config.split_column is None:
        rows = cut_rows(len(labels), config.val_share, config.test_share, generator)
    else:
        rows = _rows_by_name(_column(columns, config.split_column, "data.split_column"))
    if len(rows.get("train", ())) == 0 or len(rows.get("test", ())) == 0:
        counts = ", ".join(f"{name} {len(some)}" for name, some in rows.items()) or "none"
        raise ConfigError(f"data.path: expected rows for train and test, but {path} gives {counts}.")
    facts: dict[str, Any] = {
        "path": str(path),
        "sha256": config.content_hash(),
        "features": names,
    }
    if classes is not None:
        facts["classes"] = classes
    if config.standardize:
        # float64, so that a large offset does not swallow the spread
        mean, std = points[rows["train"]].mean(0), points[rows["train"]].std(0, correction=0)
        points = (points - mean) / torch.where(std > 0, std, 1)
        facts["standardized"] = "with mean and standard deviation of the training rows"
    return Examples(
        {name: (points[some], labels[some]) for name, some in rows.items()},
        None if classes is None else len(classes),
        facts,
    )


def read_columns(path: Path) -> Columns:
    """Return the columns of a file by name, all of one length of at least 1.

    Raises:
        ConfigError: If it cannot be read.
    """
    readers = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise ConfigError(f"data.path: expected a {EXAMPLES} file, but got {str(path)!r}.")
    try:
        columns = readers[path.suffix.lower()](path)
    except ConfigError:
        raise
    except Exception as error:  # each reader has its own
        text = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(
            f"data.path: expected a {EXAMPLES} file, but {path} cannot be read: {text}."
        ) from error
    lengths = {name: len(column) if column.ndim else 0 for name, column in columns.items()}
    if not columns or min(lengths.values()) == 0:
        raise ConfigError(f"data.path: expected a table with rows, but {path} has none.")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ConfigError(f"data.path: expected columns of equal length, but {path} has {shown}.")
    return columns


def _read_csv(path: Path) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        header = [name.strip() for name in next(reader, [])]
        rows = [row for row in reader if row]
    if len(set(header)) < len(header):
        raise ConfigError(f"data.path: expected columns with different names, but {path} has {header}.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ConfigError(
                f"data.path: expected {len(header)} values in each row, but row {number} of {path} has {len(row)}."
            )
    return {name: _numbers([row[i].strip() for row in rows]) for i, name in enumerate(header)}


def _numbers(words: list[str]) -> Column:
    """Return numbers where all words are (an empty one is missing, NaN), else the words."""
    try:
        return np.array([int(word) for word in words])
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(word) if word else np.nan for word in words])
    except ValueError:
        return np.array(words)


def _read_npz(path: Path) -> Columns:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _read_parquet(path: Path) -> Columns:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            "data.path: expected pyarrow to be installed, which reads Parquet files. Install it with: pip install "
            '"gaplab[parquet]", or in a clone: pip install -e ".[parquet]"'
        ) from error
    table = parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def _column(columns: Mapping[str, Column], name: str, key: str) -> Column:
    if name not in columns:
        shown = ", ".join(list(columns)[:20])
        raise ConfigError(
            f"{key}: expected a column of the file, but got {name!r}.{nearest(name, list(columns))} "
            f"The columns are: {shown}."
        )
    return columns[name]


def _features(columns: Mapping[str, Column]) -> torch.Tensor:
    """Return the columns side by side [P, D]; a single array of more dimensions stays as it is."""
    for name, column in columns.items():
        if column.dtype.kind not in "biuf":
            text = next((str(v) for v in column.ravel().tolist() if not isinstance(v, int | float)), "")
            raise ConfigError(
                f"data.features: expected numbers, but the column {name!r} holds {text!r}. Choose other columns "
                f"with data.features, or code it as numbers."
            )
        _refuse_missing(name, column)
    if len(columns) == 1 and next(iter(columns.values())).ndim > 1:
        (whole,) = columns.values()
        points = torch.from_numpy(np.ascontiguousarray(whole))
        return points.double() / 255 if whole.dtype == np.uint8 else points.double()
    wide = [column[:, None] if column.ndim == 1 else column for column in columns.values()]
    if any(column.ndim > 2 for column in wide):
        shown = ", ".join(f"{name} {list(column.shape)}" for name, column in columns.items())
        raise ConfigError(f"data.features: expected columns, or one array of another shape, but got {shown}.")
    return torch.from_numpy(np.concatenate(wide, axis=1).astype(np.float64))


def _refuse_missing(name: str, column: Column) -> None:
    if column.dtype.kind == "f":
        broken = ~np.isfinite(column).reshape(len(column), -1).all(axis=1)
    else:
        broken = np.array([value in (None, "") for value in column.ravel().tolist()])
    if broken.any():
        row = int(broken.argmax()) + 1
        raise ConfigError(
            f"data.path: expected a finite value in every row, but the column {name!r} misses {int(broken.sum())}, "
            f"the first in row {row}. Fill them in, leave the rows out, or choose other columns with data.features."
        )


def _targets(config: FileConfig, column: Column) -> tuple[torch.Tensor, list[Any] | None]:
    """Return targets and, where they are classes, what the classes are called, in sorted order."""
    _refuse_missing(config.target, column)
    numeric = column.dtype.kind in "iuf"
    if config.target_is is TargetKind.real and not numeric:
        raise ConfigError(
            f"data.target_is: expected class, as the column {config.target!r} holds no numbers, but got 'real'."
        )
    kind = config.target_is
    if kind is TargetKind.auto:
        whole = numeric and column.ndim == 1 and bool((column == np.round(column)).all())
        few = whole and len(np.unique(column)) <= MOST_CLASSES
        kind = TargetKind.classes if few or not numeric else TargetKind.real
    if kind is TargetKind.real:
        return torch.from_numpy(np.ascontiguousarray(column).astype(np.float32)), None
    if column.ndim != 1:
        raise ConfigError(
            f"data.target: expected one class a row, but {config.target!r} has the shape {list(column.shape)}."
        )
    names, numbers = np.unique(column if column.dtype != object else column.astype(str), return_inverse=True)
    return torch.from_numpy(numbers.astype(np.int64)), names.tolist()


def _rows_by_name(column: Column) -> dict[str, torch.Tensor]:
    words = [str(value).strip().lower() for value in column.tolist()]
    unknown = sorted(set(words) - SPLIT_NAMES.keys())
    if unknown:
        raise ConfigError(
            f"data.split_column: expected train, val or test in every row, but got {unknown[0]!r}."
        )
    rows = {
        name: torch.tensor(
            [row for row, word in enumerate(words) if SPLIT_NAMES[word] == name], dtype=torch.int64
        )
        for name in SIZE_KEYS
    }
    return {name: some for name, some in rows.items() if len(some)}
