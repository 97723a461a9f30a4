"""The page of every key and the editor's schema say what the program takes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gaplab.config.compose import compose_config
from gaplab.config.data import DataConfig
from gaplab.config.editor_schema import editor_schema
from gaplab.config.key_table import meanings
from gaplab.config.registry import CHOICES
from gaplab.reference import PAGE, SCHEMA, main
from running import PROJECT

SHIPPED = sorted(
    file for name in ("experiment", "debug") for file in (PROJECT / "configs" / name).rglob("*.yaml")
)
WRITE = """
import sys
from pathlib import Path
import gaplab.reference as reference
reference.PAGE, reference.SCHEMA = Path(sys.argv[1]), Path(sys.argv[2])
reference.load_extensions = lambda: None  # what somebody lists in his checkout is not shipped
reference.main([])
"""


def flat(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the full keys of what is no section."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.fixture(scope="module")
def editor() -> Any:
    """Marks mistakes as an editor does; ``jsonschema.validate`` would judge the schema itself every time."""
    schema = json.loads(SCHEMA.read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def test_page_and_schema_are_those_of_this_source(tmp_path: Path) -> None:
    subprocess.run(  # a process without the choices that other tests have registered
        [sys.executable, "-c", WRITE, str(tmp_path / "keys.md"), str(tmp_path / "schema.json")], check=True
    )
    for written, kept in ((tmp_path / "keys.md", PAGE), (tmp_path / "schema.json", SCHEMA)):
        assert written.read_text() == kept.read_text(), "make it anew: python -m gaplab.reference"


@pytest.mark.parametrize(
    "words", [[], ["task=gan", "data=ring"], ["network=cnn", "data=digits", "optimizer=lbfgs"]]
)
def test_the_page_has_every_key_of_a_run(words: list[str]) -> None:
    rows = {line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")}
    keys = set(flat(compose_config(words).resolved))
    assert len(keys) > 60
    of_groups = {re.sub(r"^task.(generator|discriminator)\.", "network.", key) for key in keys - {"schedule"}}
    assert {key for key in of_groups if not key.startswith("choices.")} <= rows


def test_the_page_has_meaning_default_and_values_of_a_key() -> None:
    rows = PAGE.read_text().splitlines()
    (row,) = [line for line in rows if line.startswith("| `data.label_noise_in`")]
    assert "| `train` | `train`, `all_splits` |" in row
    assert "as every bound on the gap assumes" in row
    assert row.endswith("| all |")


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_editor_finds_no_mistake_in_what_is_shipped(editor: Any, file: Path) -> None:
    editor.validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"trianer": {}},
        {"optimizer": {"lrr": 0.1}},
        {"optimizer": {"lr": "fast"}},
        {"network": {"activation": "rleu"}},
        {"data": {"num_points": 1.5}},
        {"network": {"widths": 50}},
        {"task": {"generator": {"wdiths": [8]}}},
    ],
    ids=str,
)
def test_the_editor_marks_what_the_program_refuses(editor: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        editor.validate(wrong)


def test_the_editor_takes_what_only_the_program_can_judge(editor: Any) -> None:
    editor.validate({"data": {"num_points": "1_000", "noise": "${data.std}"}, "network": None})


def test_a_choice_of_ones_own_is_known_to_the_editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @dataclass(kw_only=True, slots=True)
    class MineConfig(DataConfig):
        wobble: float = 0.1
        """How much it wobbles."""

    mine = {"data": {"wobble": 0.2}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(mine, editor_schema())
    monkeypatch.setitem(CHOICES["data"], "mine", MineConfig)
    kept = PAGE.read_bytes(), SCHEMA.read_bytes()
    main(["--schema", str(tmp_path / "own.json")])
    jsonschema.validate(mine, json.loads((tmp_path / "own.json").read_text()))
    assert (PAGE.read_bytes(), SCHEMA.read_bytes()) == kept


def test_a_choice_without_source_has_its_keys_and_no_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    typed: dict[str, Any] = {"__name__": "typed", "DataConfig": DataConfig, "dataclass": dataclass}
    exec("@dataclass(kw_only=True, slots=True)\nclass Typed(DataConfig):\n    wobble: float = 0.1\n", typed)
    monkeypatch.setitem(CHOICES["data"], "typed", typed["Typed"])
    jsonschema.validate({"data": {"wobble": 0.2}}, editor_schema())
    assert meanings(typed["Typed"]) == meanings(DataConfig)
