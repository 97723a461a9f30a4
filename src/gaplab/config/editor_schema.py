"""A JSON Schema of the YAML files: an editor completes keys by it, shows their meaning, and marks mistakes."""

from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from gaplab.config.key_table import default_of, meanings, union_of
from gaplab.config.registry import CHOICES
from gaplab.config.schema import Config

Schema = dict[str, Any]
INTERPOLATION: Schema = {"type": "string", "pattern": r"^\$\{"}
NUMBERS: Schema = {"type": "string", "pattern": r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)(e[-+]?\d+)?$"}
"""What is a number to the reader of these files and a text to YAML 1.2, such as ``20_000``."""


def editor_schema() -> Schema:
    """Return the schema of the files in ``configs/experiment/`` and ``configs/debug/``, with all choices known now."""
    bases = {kind: group for group in CHOICES for kind in union_of(get_type_hints(Config)[group])}
    root = _section([Config], bases)
    root["properties"] |= {group: {"$ref": f"#/$defs/{group}"} for group in CHOICES}
    # What Hydra reads.
    root["properties"] |= {"defaults": {"type": "array"}, "hydra": {"type": "object"}}
    groups = {group: _section(list(choices.values()), bases) for group, choices in CHOICES.items()}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "An experiment of gaplab"}
    return head | root | {"$defs": groups}


def _section(kinds: list[type], bases: dict[Any, str]) -> Schema:
    """Return the schema of a section that is of one of some classes."""
    properties: dict[str, Schema] = {}
    for kind in kinds:
        hints, said = get_type_hints(kind), meanings(kind)
        for one in fields(kind):
            default = default_of(one)
            schema = _value(type(default) if is_dataclass(default) else hints[one.name], bases)
            known = properties.setdefault(one.name, {"anyOf": []})
            known["anyOf"] += [option for option in schema if option not in known["anyOf"]]
            if one.name in said:
                known.setdefault("description", said[one.name])
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _value(kind: Any, bases: dict[Any, str]) -> list[Schema]:
    """Return the schemas of which a value must meet one."""
    found: list[Schema] = []
    for one in union_of(kind):
        if one is Any:
            return [{}]
        if one in bases:
            found.append({"$ref": f"#/$defs/{bases[one]}"})
        elif is_dataclass(one):
            found.append(_section([one], bases))  # type: ignore[list-item]
        elif get_origin(one) is list:
            found.append({"type": "array", "items": {"anyOf": _value(get_args(one)[0], bases)}})
        elif get_origin(one) is dict:
            found.append({"type": "object"})
        elif isinstance(one, type) and issubclass(one, Enum):
            found.append({"enum": [member.name for member in one]})
        else:
            names = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}
            found += [{"type": names[one]}, *([NUMBERS] if one in (int, float) else [])]
    return [*found, INTERPOLATION]
