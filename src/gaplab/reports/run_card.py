"""The run card: what ran, on what, what differs from the default, and what came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gaplab.config.compose import restore
from gaplab.config.hparams import SECTIONS, changed_settings, flat_settings
from gaplab.config.schema import Config
from gaplab.reports.render import Report, Table
from gaplab.runs.directory import read_config, read_json

SPLITS = ("train", "val", "test")


def run_card(path: Path) -> Report:
    """Return the card of the run in ``path``, from its files alone; a run may still be at work.

    Raises:
        ConfigError: If ``path`` is not a run directory, or a file in it is damaged.
    """
    config = restore(read_config(path), str(path / "config.yaml"))
    return card_of(path, config, yaml.safe_load((path / "overrides.yaml").read_text()) or [])


def card_of(
    path: Path, config: Config, overrides: Sequence[str], record: Mapping[str, Any] | None = None
) -> Report:
    """Return the card of a run whose configuration is at hand, which saves composing it again."""
    record = read_json(path / "run.json") if record is None else record
    tables = [Table("What ran", ("", ""), [(key, text) for key, text in _facts(record).items()])]
    flat = flat_settings(config)
    settings = {name: flat[name] for name in SECTIONS} | changed_settings(config, overrides)
    rows = [(key, str(value)) for key, value in settings.items()]
    tables.append(Table("Groups, and settings that differ from the default", ("key", "value"), rows))
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
    rows: list[tuple[str, ...]] = []
    for which, step in (("best", result["best_step"]), ("last", result["step"])):
        table = result[which]
        if table is None:
            continue
        for quantity in ("loss", "accuracy"):
            if f"gap/{quantity}" in table:
                cells = [_number(table.get(f"{quantity}/{split}")) for split in SPLITS]
                gap, error = table[f"gap/{quantity}"], table[f"gap/{quantity}_error"]
                rows.append(
                    (f"{which} (step {step})", quantity, *cells, f"{_number(gap)} ± {_number(error)}")
                )
    tables = [Table("Result", ("weights", "quantity", *SPLITS, "gap"), list(rows))] if rows else []
    shown = [f"{quantity}/{split}" for quantity in ("loss", "accuracy") for split in SPLITS]
    others = [
        (key, _number(value))
        for key, value in (result["best"] or result["last"]).items()
        if key not in shown and not key.startswith("gap/")
    ]
    others += [
        ("parameters N", str(result["num_parameters"])),
        ("training points m", str(result["num_train_points"])),
    ]
    tables.append(Table("Further numbers (a scale is not a bound)", ("", ""), list(others)))
    if result["published"]:
        compared = [
            (n["name"], _number(n["published"]), _number(n["measured"]), "met" if n["met"] else "not met")
            for n in result["published"]
        ]
        tables.append(Table("Published numbers", ("name", "published", "measured", ""), list(compared)))
    return tables


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
