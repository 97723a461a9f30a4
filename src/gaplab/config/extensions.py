"""Files and modules of the user's own, which are imported so that they can register choices."""

import os
import sys
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from hydra.core.override_parser.overrides_parser import OverridesParser

from gaplab.config.registry import PROJECT_ROOT
from gaplab.errors import ConfigError

LOADED = "GAPLAB_EXTENSIONS"
"""Environment variable with the files that were loaded: processes that this one starts need them before they are
sent a configuration."""


def load_extensions(pyproject: Path = PROJECT_ROOT / "pyproject.toml") -> None:
    """Import the modules that ``[tool.gaplab] extensions`` lists, and the files of the process that started this one.

    Raises:
        ConfigError: If one of them cannot be imported.
    """
    load_files([file for file in os.environ.get(LOADED, "").split(os.pathsep) if file], LOADED)
    if not pyproject.is_file():
        return
    settings = tomllib.loads(pyproject.read_text()).get("tool", {}).get("gaplab", {})
    known = os.environ.get("GAPLAB_MODULES", "")  # see named_classes.py
    for name in settings.get("modules", []):
        if name not in known.split(os.pathsep):
            known = os.environ["GAPLAB_MODULES"] = f"{known}{os.pathsep}{name}"
    for name in settings.get("extensions", []):
        _import(name, pyproject.parent, f"{pyproject.name}, [tool.gaplab] extensions")


def load_given(overrides: Sequence[str]) -> None:
    """Import the files that a command line names, before anything is composed.

    Raises:
        ConfigError: As ``load_files``.
    """
    for word in overrides:
        if word.startswith("extensions="):
            files = OverridesParser.create().parse_override(word).value()
            if not isinstance(files, list):
                raise ConfigError(
                    f"extensions: expected a list, for example [mine.py], but got {word.partition('=')[2]!r}."
                )
            load_files(absolute(list(map(str, files))), "extensions")


def check_recorded(files: object, where: str) -> None:
    """Check that the files with which a saved run was made are loaded; a run directory names no code to execute.

    Raises:
        ConfigError: If one of them is not; it says how to load it.
    """
    known = os.environ.get(LOADED, "").split(os.pathsep)
    for file in files if isinstance(files, list) else []:
        if file not in known:
            there = "" if isinstance(file, str) and Path(file).is_file() else ", which is not there any more"
            raise ConfigError(
                f"{where}, extensions: this run was made with choices of {file}{there}. What a run directory names "
                f"is not executed by itself: add extensions=[{file}] to the command (to load_run as an override), or "
                f"set {LOADED}={file}."
            )


def load_files(files: Sequence[str], where: str) -> None:
    """Import Python files by their absolute paths; one that was imported before is left alone.

    Raises:
        ConfigError: If a file does not exist, cannot be imported, or has the name of another module.
    """
    for file in map(Path, files):
        if file.suffix != ".py" or not file.is_file():
            raise ConfigError(
                f"{where}: expected Python files that register choices, but there is no {file}. Put it there "
                "again, as the configuration needs its choices."
            )
        module = _import(file.stem, file.parent, where)
        if Path(module.__file__ or "").resolve() != file:
            raise ConfigError(
                f"{where}: expected a file with a name of its own, but {file.stem!r} is also "
                f"{module.__file__ or 'a module of Python'}. Rename {file}."
            )
    known = [file for file in os.environ.get(LOADED, "").split(os.pathsep) if file]
    if new := [file for file in files if file not in known]:
        os.environ[LOADED] = os.pathsep.join([*known, *new])


def absolute(files: Sequence[str]) -> list[str]:
    """Return the paths under which every working directory finds the files."""
    return [str(Path(file).expanduser().resolve()) for file in files]


def _import(name: str, folder: Path, where: str) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{where}: expected modules that can be imported, but {name!r} gave: {error}."
        ) from error
