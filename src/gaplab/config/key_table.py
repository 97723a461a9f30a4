"""Every key with its default, its values and its meaning, read from the dataclasses that define them."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf

TYPE_NAMES = {
    bool: "`true`, `false`",
    int: "whole number",
    float: "number",
    str: "text",
    dict: "mapping",
    Any: "anything",
}


class Key(NamedTuple):
    """One key of the configuration."""

    name: str
    """With its section, as a command line takes it."""
    kind: Any
    """Its type."""
    default: Any
    meaning: str


def keys_of(section: type, prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a section, and of those inside it, in the order in which they are declared."""
    hints, said = get_type_hints(section), meanings(section)
    for one in fields(section):
        default, name = default_of(one), f"{prefix}{one.name}"
        if is_dataclass(default) and fields(default):
            yield from keys_of(type(default), f"{name}.")
        elif not one.name.startswith("_"):
            yield Key(name, hints[one.name], default, said.get(one.name, ""))


def default_of(one: "Field[Any]") -> Any:
    """Return the default of a field as plain values; a section as it is."""
    if one.default is not MISSING:
        return one.default
    default = one.default_factory() if one.default_factory is not MISSING else None
    return OmegaConf.to_container(default) if isinstance(default, DictConfig) else default


@cache
def meanings(kind: type) -> dict[str, str]:
    """Return the text under each field of a dataclass, or member of an enumeration, as one line.

    A class that was typed into an interpreter has no source that could be read, and gets none.
    """
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not (is_dataclass(one) or (issubclass(one, Enum) and one.__module__.startswith(kind.__module__))):
            continue
        try:
            source = inspect.getsource(one)
        except (OSError, TypeError):
            continue
        (tree,) = ast.parse(textwrap.dedent(source)).body
        assert isinstance(tree, ast.ClassDef)
        for statement, text in pairwise(tree.body):
            target = getattr(statement, "target", None) or (getattr(statement, "targets", None) or [None])[0]
            if (
                isinstance(target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[target.id] = " ".join(str(text.value.value).split())
    return found


def union_of(kind: Any) -> tuple[Any, ...]:
    """Return the types of which a value may be."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def values_of(kind: Any) -> str:
    """Say what a key may be set to.

    >>> values_of(list[int] | None)
    'list of whole numbers, or `null`'
    """
    parts = []
    for one in union_of(kind):
        if one is NoneType:
            continue
        if get_origin(one) is list:
            (inside,) = get_args(one)
            parts.append("list" if inside is Any else f"list of {values_of(inside)}s")
        elif isinstance(one, type) and issubclass(one, Enum):
            parts.append(", ".join(f"`{member.name}`" for member in one))
        else:
            parts.append(TYPE_NAMES.get(get_origin(one) or one, "section"))
    return " or ".join(parts) + (", or `null`" if NoneType in union_of(kind) else "")


def meaning_of(key: Key) -> str:
    """Return the meaning of a key, and of its values where they have names."""
    said = [key.meaning]
    for one in union_of(key.kind):
        if isinstance(one, type) and issubclass(one, Enum):
            said += [f"``{name}``: {text}" for name, text in meanings(one).items()]
    return " ".join(filter(None, said))
