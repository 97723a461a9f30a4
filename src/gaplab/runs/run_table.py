"""Runs as rows, from their directories alone."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gaplab.errors import ConfigError
from gaplab.runs.directory import read_config, read_json
from gaplab.tensorboard.read_curves import read_history

Row = dict[str, Any]
UNREADABLE = "unreadable"
NO_SETTINGS = ("run", "choices", "resume", "extensions", "tags", "published")
"""Sections that say where a run is, not what it is."""


def table_of_runs(folder: str | Path, *, curves: bool = False) -> list[Row]:
    """Return one flat row a run below ``folder``, as ``pandas.DataFrame`` takes them.

    A row has ``path``, ``status``, ``seconds``, the settings in which the runs differ (by their full keys, as
    ``data.noise``), and the scores of the last weights (``gap/loss`` and so on) with its measures. A run that
    cannot be read has the status ``unreadable`` and a ``reason``.

    Args:
        folder: A sweep, ``logs``, or a single run.
        curves: One row for each measured ``step`` of each run in place of the scores at its end.

    Raises:
        ConfigError: If there is no run below ``folder``.
    """
    folder = Path(folder)
    paths = [file.parent for file in sorted(folder.rglob("run.json"))]
    if not paths:
        raise ConfigError(
            f"{folder}: expected a folder that holds runs, but no folder in it holds a run.json."
        )
    heads = [_head(path) for path in paths]
    varying = _varying([settings for _, settings in heads])
    rows: list[Row] = []
    for path, (head, settings) in zip(paths, heads, strict=True):
        row = head | {key: settings.get(key) for key in varying}
        if head["status"] == UNREADABLE:
            rows.append(row)
        elif curves:
            rows += [row | {"step": step} | values for step, values in read_history(path).items()]
        else:
            rows.append(row | _scores(path))
    return rows


def _head(path: Path) -> tuple[Row, Mapping[str, Any]]:
    """Return what is known of a run whatever it is, and its settings by full key."""
    try:
        record = read_json(path / "run.json")
        saved = read_config(path)
        head = {"path": str(path), "status": record.get("status"), "seconds": record.get("seconds")}
        settings = {key: value for key, value in saved.items() if key not in NO_SETTINGS}
        chosen = saved.get("choices")
        return head, dict(_leaves(settings)) | (dict(chosen) if isinstance(chosen, dict) else {})
    except ConfigError as error:
        return {"path": str(path), "status": UNREADABLE, "seconds": None, "reason": str(error)}, {}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _scores(path: Path) -> Row:
    file = path / "result.json"
    if not file.is_file():
        return {}
    result = read_json(file)
    return dict(result.get("last") or {}) | dict(result.get("measures") or {})


def _varying(settings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys that do not have one and the same value in all runs that could be read."""
    readable = [one for one in settings if one]
    keys = dict.fromkeys(key for one in readable for key in one)
    return [key for key in keys if any(one.get(key) != readable[0].get(key) for one in readable)]
