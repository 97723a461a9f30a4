"""Arguments of a class that a configuration names, checked against its signature before it is called."""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gaplab.config.checks import nearest
from gaplab.errors import ConfigError

SPOKEN: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "null",
}


FUNCTION = "a function, which no configuration holds"


def check_arguments(
    kind: type, given: Mapping[str, Any], key: str, *, filled: Collection[str] = (), what: str = ""
) -> None:
    """Check the names and types of arguments of a class.

    Args:
        kind: The class; its ``__init__`` says what it takes.
        given: Arguments by name, plain values; a value that is a ``type`` stands for an object of it.
        key: Where they stand in the configuration.
        filled: Parameters that are set from elsewhere, and thus not here.
        what: What messages call the class; its name by default.

    Raises:
        ConfigError: For an unknown name, a value of another type, or an argument that is missing.
    """
    what = what or kind.__name__
    parameters = dict(inspect.signature(kind).parameters)
    catches_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    parameters = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    names = [name for name in parameters if name not in filled]
    hints = _hints(kind)
    for name, value in given.items():
        if name in filled:
            raise ConfigError(f"{key}.{name}: {what} gets this argument from gaplab. Leave it out.")
        if name not in names:
            if catches_all and not get_close_matches(name, names, n=1, cutoff=0.7):
                continue  # handed on to something that checks it itself
            raise ConfigError(
                f"{key}.{name}: expected an argument of {what}, but there is none of this name."
                f"{nearest(name, names)} Its arguments are: {', '.join(names) or 'none'}."
            )
        if name in hints and not fits(value, hints[name]):
            raise ConfigError(f"{key}.{name}: expected {spoken(hints[name])} for {what}, but got {value!r}.")
    missing = [n for n in names if parameters[n].default is inspect.Parameter.empty and n not in given]
    for name in missing:
        if _is_function(hints.get(name)):
            raise ConfigError(
                f"{key}: {what} needs {name}, {FUNCTION}. Register a class of your own that has it."
            )
    if missing:
        set_it = (
            f"{{_target_: {what}, {missing[0]}: VALUE}}" if key.endswith("]") else f"{key}.{missing[0]}=VALUE"
        )
        raise ConfigError(f"{key}: {what} needs {' and '.join(missing)}: set {set_it}.")


def fits(value: Any, hint: Any) -> bool:
    """Return whether a plain value can be meant where a hint stands; hints that say nothing take everything.

    >>> fits(1, float), fits(0.5, int), fits([1, 2], tuple[int, int]), fits("a", Literal["b"])
    (True, False, True, False)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in inner)
    if isinstance(value, type):
        return not isinstance(hint, type) or issubclass(value, hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str, type(None)):
        return isinstance(value, hint)
    if origin is tuple:
        return isinstance(value, list) and _fits_tuple(value, inner)
    if origin in (list, Sequence, Iterable):
        return isinstance(value, list) and (not inner or all(fits(one, inner[0]) for one in value))
    if origin in (dict, Mapping):
        return isinstance(value, dict)
    if origin is Callable or hint is Callable:
        return False  # no code stands in a configuration
    if isinstance(hint, type) and hint.__module__.partition(".")[0] in ("torch", "lightning"):
        return hint.__name__ == "device" and isinstance(value, str | int)
    return True


def spoken(hint: Any) -> str:
    """Return what a hint asks for in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        words = dict.fromkeys(spoken(one) for one in inner if one in SPOKEN or get_origin(one) is not None)
        plain = [word for word in words if word != FUNCTION]
        return " or ".join(plain or words) or str(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin is tuple and Ellipsis not in inner:
        return f"a list of {len(inner)}"
    if origin in (list, tuple, Sequence, Iterable):
        return f"a list, each {spoken(inner[0])}" if inner and inner[0] in SPOKEN else "a list"
    if origin in (dict, Mapping):
        return "a mapping"
    if origin is Callable or hint is Callable:
        return FUNCTION
    return SPOKEN.get(hint, getattr(hint, "__name__", str(hint)))


def _is_function(hint: Any) -> bool:
    return get_origin(hint) is Callable or any(get_origin(one) is Callable for one in get_args(hint))


def _fits_tuple(value: list[Any], inner: tuple[Any, ...]) -> bool:
    if inner[-1:] == (Ellipsis,):
        return all(fits(one, inner[0]) for one in value)
    return len(value) == len(inner) and all(fits(*pair) for pair in zip(value, inner, strict=True))


def _hints(kind: type) -> dict[str, Any]:
    begin = vars(next(one for one in kind.__mro__ if "__init__" in vars(one)))["__init__"]
    if not inspect.isfunction(begin):
        return {}
    try:  # torch imports for type checkers only what its hints are made of
        return get_type_hints(begin, localns={**vars(typing), **vars(collections.abc)})
    except Exception:  # or a class of the user's own has hints that nobody can resolve
        return {name: hint for name, hint in begin.__annotations__.items() if not isinstance(hint, str)}
