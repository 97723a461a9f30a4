"""Looking a name up in a table, with an error that lists the names."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Value = TypeVar("Value")


def choose(table: Mapping[str, Value], name: str, argument: str) -> Value:
    """The entry called ``name``; ValueError names the ``argument``, the nearest match and all choices."""
    if name in table:
        return table[name]
    near = get_close_matches(name, table, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{argument} must be one of {', '.join(table)}, but got {name!r}.{hint}")
