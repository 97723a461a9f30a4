"""Classes of the user's own that a configuration names: whether they may be imported, and where they are found.

A name on the command line is the user's; one in a run directory is not imported unless the user names it as well.
"""

import os
import pkgutil
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from gaplab.config.checks import nearest
from gaplab.config.extensions import LOADED
from gaplab.errors import ConfigError

ALLOWED = "GAPLAB_MODULES"
"""Environment variable with the packages and modules that may be imported, ``mypkg:other``; processes that this one
starts need them too."""


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
