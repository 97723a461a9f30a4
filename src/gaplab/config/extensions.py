"""Files and modules of the user's own, which are imported so that they can register choices."""

import os
import sys
import tomllib
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from gaplab.config.projects import config_folders, project_files
from gaplab.config.registry import CHOICES
from gaplab.config.renamed import new_choice
from gaplab.errors import ConfigError

LOADED = "GAPLAB_EXTENSIONS"
"""Environment variable with the files that were loaded: processes that this one starts need them before they are
sent a configuration."""

_sources: dict[str, Path] = {}
"""Files of the modules that were imported as extensions."""

SLOW: list[str] = []
"""Extensions that import torch when they are loaded, which every answer of the command line then waits for."""


def load_extensions(pyproject: Path | None = None) -> None:
    """Import the modules that ``[tool.gaplab] extensions`` lists, and the files of the process that started this one.

    Args:
        pyproject: The file to read; None for those of gaplab's checkout and of the current directory.

    Raises:
        ConfigError: If one of them cannot be imported.
    """
    load_files(loaded_files(), LOADED)
    for file in project_files() if pyproject is None else [pyproject]:
        known = os.environ.get("GAPLAB_MODULES", "")  # see named_classes.py
        for name in _listed(file, "modules") if file.is_file() else []:
            if name not in known.split(os.pathsep):
                known = os.environ["GAPLAB_MODULES"] = f"{known}{os.pathsep}{name}"
        for name in _listed(file, "extensions") if file.is_file() else []:
            _import(name, file.parent, f"{file.name}, [tool.gaplab] extensions")


def _listed(pyproject: Path, key: str) -> list[str]:
    try:
        tools = tomllib.loads(pyproject.read_text()).get("tool", {})
    except (OSError, ValueError) as error:
        raise ConfigError(f"{pyproject}: expected readable TOML, but: {error}.") from error
    names = tools.get("gaplab", {}).get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f'{pyproject}, [tool.gaplab] {key}: expected a list of modules, such as ["my_points"], but got '
            f"{names!r}."
        )
    return names


def load_given(overrides: Sequence[str]) -> None:
    """Import the files that a command line, or an experiment that it names, lists, before anything is composed.

    Raises:
        ConfigError: As ``load_files``.
    """
    for word in overrides:
        key, _, value = word.lstrip("+").partition("=")
        if key == "extensions":
            parsed = OverridesParser.create().parse_override(word).value()
            _load_list(parsed, "extensions", value)
        elif key in ("experiment", "debug", "cluster"):
            for folder in config_folders():
                _load_of_yaml(folder / key / f"{value}.yaml")


def check_loaded(files: Sequence[str]) -> None:
    """Check that extensions of a composed configuration were loaded before it was composed.

    Raises:
        ConfigError: If one comes from a YAML file that was not looked into.
    """
    late = [file for file in files if file not in loaded_files()]
    if late:
        raise ConfigError(
            f"extensions: expected them on the command line or in the file of an experiment below configs/, but "
            f"{', '.join(late)} came too late to register choices. Add extensions=[{','.join(late)}] to the command."
        )


def _load_of_yaml(file: Path) -> None:
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return  # Hydra says it better
    if isinstance(content, dict) and "extensions" in content:
        _load_list(content["extensions"], f"{file}, extensions", str(content["extensions"]))


def _load_list(files: object, where: str, text: str) -> None:
    if not isinstance(files, list):
        raise ConfigError(f"{where}: expected a list, for example [mine.py], but got {text!r}.")
    load_files(absolute(list(map(str, files))), where)


def check_recorded(files: object, where: str) -> None:
    """Check that the files with which a saved run was made are loaded; a run directory names no code to execute.

    Raises:
        ConfigError: If one of them is not; it says how to load it.
    """
    for file in files if isinstance(files, list) else []:
        if file not in loaded_files():
            there = "" if isinstance(file, str) and Path(file).is_file() else ", which is not there any more"
            raise ConfigError(
                f"{where}, extensions: this run was made with choices of {file}{there}. What a run directory names "
                f"is not executed by itself: add extensions=[{file}] to the command (to load_run as an override), or "
                f"set {LOADED}={file}."
            )


def check_offered(groups: Mapping[str, str], where: str) -> None:
    """Check that the choices of a saved run can be made: a module of a project may have offered them.

    Raises:
        ConfigError: If one cannot; it says what the run was made with.
    """
    load_extensions()
    for group, name in groups.items():
        group = group.split("@")[0]
        files = [folder / group / f"{name}.yaml" for folder in config_folders()]
        if name in CHOICES[group] or new_choice(group, name) or any(file.is_file() for file in files):
            continue
        kept = sorted(Path(where).parent.glob("provenance/extensions/**/*.py"))
        with_what = f" It was made with {', '.join(map(str, kept))}, as kept there." if kept else ""
        raise ConfigError(
            f"{where}: this run was made with {group}={name}, which nothing offers here.{with_what} Load the file that "
            "registers it with extensions=[FILE.py], or run in the project whose pyproject.toml lists it in "
            "[tool.gaplab] extensions."
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
            _sources.pop(file.stem, None)
            raise ConfigError(
                f"{where}: expected a file with a name of its own, but {file.stem!r} is also "
                f"{module.__file__ or 'a module of Python'}. Rename {file}."
            )
    known = loaded_files()
    if new := [file for file in files if file not in known]:
        os.environ[LOADED] = os.pathsep.join([*known, *new])


def loaded_files() -> list[str]:
    """Return the files that this process, or the one that started it, has loaded as extensions."""
    return [file for file in os.environ.get(LOADED, "").split(os.pathsep) if file]


def loaded_sources() -> dict[str, Path]:
    """Return the files of all extensions that this process has imported, by name; of a package all of them."""
    found: dict[str, Path] = {}
    for file in sorted(_sources.values()):
        if file.name == "__init__.py":
            root = file.parent
            found |= {part.relative_to(root.parent).as_posix(): part for part in sorted(root.rglob("*.py"))}
        else:
            found[file.name] = file
    return found


def absolute(files: Sequence[str]) -> list[str]:
    """Return the paths under which every working directory finds the files."""
    return [str(Path(file).expanduser().resolve()) for file in files]


def _import(name: str, folder: Path, where: str) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    had_torch = "torch" in sys.modules
    try:
        module = import_module(name)
    except ConfigError:
        raise
    except Exception as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).stem == name
        ]
        at = f" in line {lines[-1]}" if lines else ""
        raise ConfigError(
            f"{where}: expected modules that can be imported, but {name!r} gave: {_told(error)}{at}."
        ) from error
    if module.__file__ is not None:
        _sources[name] = Path(module.__file__).resolve()
    if not had_torch and "torch" in sys.modules:
        SLOW.append(name)
    return module


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
