"""Write the page of every key and the editor's schema, ``python -m gaplab.reference``: both from the dataclasses."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from gaplab.config.cluster import PoolConfig, SlurmConfig, VectorizedConfig
from gaplab.config.editor_schema import editor_schema
from gaplab.config.extensions import load_extensions
from gaplab.config.key_table import Key, keys_of, meaning_of, values_of
from gaplab.config.registry import CHOICES, PROJECT_ROOT
from gaplab.config.schema import Config
from gaplab.process.exits import readable_exits
from gaplab.storage.atomic import write_text

PAGE = PROJECT_ROOT / "docs" / "keys.md"
SCHEMA = PROJECT_ROOT / "configs" / "editor.schema.json"
LAUNCHERS = {"pool": PoolConfig, "vectorized": VectorizedConfig, "slurm": SlurmConfig}
HEAD = """# Every key

`python -m gaplab.reference` writes this page from the dataclasses in `src/gaplab/config/`. A key is set as
`python train.py KEY=VALUE`, or in a file of `configs/experiment/`. `${seed}` stands for the value of `seed`.
"""


def page() -> str:
    """Return the reference of all keys: one table for what every run has, and one for each group of choices."""
    whole = [key for key in keys_of(Config) if key.name.partition(".")[0] not in CHOICES]
    parts = [HEAD, "## Of every run\n", *_table({"": whole})]
    for group, choices in CHOICES.items():
        parts += [f"\n## `{group}`\n", *_list(group, choices), ""]
        parts += _table({name: list(keys_of(kind, f"{group}.")) for name, kind in choices.items()})
    parts += ["\n## Launchers of sweeps\n", *_list("hydra/launcher", LAUNCHERS), ""]
    parts += _table({name: list(keys_of(kind, "hydra.launcher.")) for name, kind in LAUNCHERS.items()})
    return "\n".join(parts) + "\n"


def _list(group: str, choices: Mapping[str, type]) -> Iterable[str]:
    """Yield a line for each choice, with the first sentences of its documentation."""
    for name, kind in choices.items():
        said = " ".join((kind.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")
        yield f"- `{group}={name}`" + ("" if said.startswith(f"{kind.__name__}(") else f": {said}")


def _table(keys: dict[str, list[Key]]) -> Iterable[str]:
    """Yield the lines of a table; a key that several choices have alike has one line, which names them."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for choice, own in keys.items():
        for key in own:
            row: tuple[str, ...] = (
                f"`{key.name}`",
                _shown(key.default),
                values_of(key.kind),
                meaning_of(key).replace("``", "`"),
            )
            rows.setdefault(row, []).append(choice)
    several = len(keys) > 1
    yield "| key | default | values | meaning |" + (" of |" if several else "")
    yield "|---|---|---|---|" + ("---|" if several else "")
    for row, choices in sorted(rows.items(), key=lambda item: -len(item[1])):
        of = "all" if len(choices) == len(keys) else ", ".join(choices)
        yield f"| {' | '.join((*row, *([of] if several else [])))} |"


def _shown(default: Any) -> str:
    if is_dataclass(default):
        return ""
    if isinstance(default, Enum):
        return f"`{default.name}`"
    return f"`{default}`" if isinstance(default, str) and default else f"`{json.dumps(default)}`"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write both files, or the schema alone where a project of one's own says where to."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.reference", description=__doc__)
    parser.add_argument(
        "--schema", type=Path, help="write only the schema, with the project's own choices, there"
    )
    chosen = parser.parse_args(arguments).schema
    with readable_exits():
        load_extensions()
    if chosen is None:
        write_text(PAGE, page())
    write_text(chosen or SCHEMA, json.dumps(editor_schema(), indent=1) + "\n")


if __name__ == "__main__":
    main()
