"""Classes of the user's own that a configuration names: found, checked against their signatures, and built.

A name on the command line is the user's; one in a run directory is not imported unless the user names it as well.
"""

import inspect
import os
import pkgutil
import sys
import typing
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from gaplab.config.checks import nearest
from gaplab.config.extensions import LOADED
from gaplab.errors import ConfigError

ALLOWED = "GAPLAB_MODULES"
"""Environment variable with the packages and modules that may be imported, ``mypkg:other``; processes that this one
starts need them too."""

_PLAIN = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}


def allow(names: Iterable[str]) -> None:
    """Let the packages (or modules) in which some classes lie be imported: the user has named them."""
    known = _known()
    new = list(dict.fromkeys(name.partition(".")[0] for name in names if name))
    if new := [root for root in new if root not in known]:
        os.environ[ALLOWED] = os.pathsep.join([*known, *new])


def _known() -> list[str]:
    return [name for name in os.environ.get(ALLOWED, "").split(os.pathsep) if name]


def check_allowed(name: str, key: str) -> None:
    """Check that the user has named the package of a class; a run directory brings no code by itself.

    Raises:
        ConfigError: If not; it says how to name it.
    """
    files = [Path(file).stem for file in os.environ.get(LOADED, "").split(os.pathsep) if file]
    if name.partition(".")[0] not in (*_known(), *files):
        raise ConfigError(
            f"{key}: this run was made with {name}. What a run directory names is not imported by itself: add "
            f"{key}={name} to the command (to load_run as an override), or set {ALLOWED}={name.partition('.')[0]}, or "
            f'list it in pyproject.toml: [tool.gaplab] modules = ["{name.partition(".")[0]}"].'
        )


def import_class(name: str, key: str, base: type) -> Any:
    """Import ``package.module.Class``, from the working directory too.

    Args:
        name: The dotted name.
        key: The key of the configuration that has it.
        base: The class must be derived from it.

    Raises:
        ConfigError: If it is not allowed, does not exist, or is something else; the nearest name is given.
    """
    check_allowed(name, key)
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        raise ConfigError(f"{key}: expected a class with its module, as in mypkg.{name}, but got {name!r}.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = import_module(module_name)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and module_name.startswith(error.name or "-")
        known = [found.name for found in pkgutil.iter_modules([os.getcwd()])]
        hint = (
            f"{nearest(module_name, known)} It is looked for in {os.getcwd()} and among installed packages; a file "
            "elsewhere is named by extensions=[path.py]."
            if missing
            else " The error is in that file."
        )
        raise ConfigError(
            f"{key}: expected a module that can be imported, but {module_name!r} gave {type(error).__name__}: "
            f"{error}.{hint}"
        ) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        fitting = [n for n, one in vars(module).items() if isinstance(one, type) and issubclass(one, base)]
        what = "there is no such name" if found is None else "that is none"
        raise ConfigError(
            f"{key}: expected a {base.__name__} in {module_name}, but {class_name}: {what}."
            f"{nearest(class_name, fitting)} There are: {', '.join(fitting) or 'none'}."
        )
    return found


def check_arguments(cls: type, arguments: Mapping[str, Any], key: str) -> None:
    """Compare arguments with the signature of a class.

    Raises:
        ConfigError: For a name that it does not have (with the nearest one), one that is missing, or a number, text or
            boolean where the signature says another of them.
    """
    parameters = dict(inspect.signature(cls).parameters)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    named = [
        name for name, one in parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    for name in arguments:
        if name not in named and not takes_any:
            raise ConfigError(
                f"{key}.{name}: expected an argument of {cls.__name__}, but there is no such one."
                f"{nearest(name, named)} The arguments are: {', '.join(named) or 'none'}."
            )
    missing = [n for n in named if parameters[n].default is inspect.Parameter.empty and n not in arguments]
    if missing:
        raise ConfigError(
            f"{key}: expected a value for {', '.join(missing)}, which {cls.__name__} requires. Add "
            f"{key}.{missing[0]}=VALUE."
        )
    try:
        hints = typing.get_type_hints(vars(cls).get("__init__", cls))
    except Exception:  # names that only exist for type checkers
        hints = {}
    for name, value in arguments.items():
        allowed = _PLAIN.get(hints.get(name), ())  # type: ignore[arg-type]
        wrong = bool(allowed) and (
            not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)
        )
        if wrong:
            raise ConfigError(
                f"{key}.{name}: expected {hints[name].__name__}, as {cls.__name__} says, but got {value!r}."
            )
