"""The run card: what ran, on what, what differs from the default, and what came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gaplab.config.compose import restore
from gaplab.config.hparams import SECTIONS, changed_settings, flat_settings
from gaplab.config.schema import Config
from gaplab.reports.render import Report, Table
from gaplab.reports.score_tables import (
    bound_table,
    further_numbers,
    measure_tables,
    published_table,
    score_table,
)
from gaplab.runs.directory import read_config, read_json
from gaplab.storage.reading import read_yaml


def run_card(path: Path) -> Report:
    """Return the card of the run in ``path``, from its files alone; a run may still be at work.

    Raises:
        ConfigError: If ``path`` is not a run directory, or a file in it is damaged.
    """
    config = restore(read_config(path), str(path / "config.yaml"))
    return card_of(path, config, read_yaml(path / "overrides.yaml") or [])


def card_of(
    path: Path, config: Config, overrides: Sequence[str], record: Mapping[str, Any] | None = None
) -> Report:
    """Return the card of a run whose configuration is at hand, which saves composing it again."""
    record = read_json(path / "run.json") if record is None else record
    tables = [Table("What ran", ("fact", "value"), list(_facts(record).items()), folded=True)]
    flat = flat_settings(config)
    settings = {name: flat[name] for name in SECTIONS if name in flat} | changed_settings(config, overrides)
    rows = [(key, str(value)) for key, value in settings.items()]
    tables.append(
        Table("Groups, and settings that differ from the default", ("key", "value"), rows, folded=True)
    )
    if (path / "result.json").is_file():
        tables += _results(read_json(path / "result.json"))
    return Report(f"Run {path.parent.name}/{path.name}", tables)


def _facts(record: Mapping[str, Any]) -> dict[str, str]:
    git = record.get("git")
    versions = record.get("versions", {})
    facts = {
        "status": record.get("status"),
        "error": record.get("error"),
        "command": record.get("command"),
        "git commit": git and git["commit"] + (" with changes" if git["dirty"] else ""),
        "started": record.get("started"),
        "ended": record.get("ended"),
        "seconds": record.get("seconds"),
        "device": record.get("device"),
        "platform": record.get("platform"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "seeds": ", ".join(f"{name} {seed}" for name, seed in record.get("seeds", {}).items()),
    }
    return {key: str(value) for key, value in facts.items() if value not in (None, "")}


def _results(result: dict[str, Any]) -> list[Table]:
    tables = [score_table(result), bound_table(result), further_numbers(result), *measure_tables(result)]
    return [table for table in (*tables, published_table(result)) if table.rows]
