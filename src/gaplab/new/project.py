"""Writing the templates below the name of a new project."""

import keyword
import re
import secrets
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import gaplab
from gaplab.errors import ConfigError

TEMPLATES = Path(__file__).with_name("templates")
TAKEN = ("configs", "logs", "tests")
"""Folders of every project, which its module cannot be called."""


def make_project(folder: Path) -> list[Path]:
    """Make a project in a folder that is empty or not there; return its files, relative to it.

    It is written beside the folder and moved when it is whole.

    Args:
        folder: The project; its last part names the module that registers the choices.

    Raises:
        ConfigError: If the name cannot be that of a module, the folder holds something, or it cannot be written.
    """
    folder = folder.expanduser().resolve()
    _check_name(folder.name)
    whole = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(
                f"{folder}: expected an empty folder, or one that is not there yet, but it holds something. "
                "Choose another name; nothing was written."
            )
        try:
            files = _write(whole, folder.name)
            if folder.is_dir():  # perhaps the current directory of a shell, which has to stay the same one
                for part in sorted(whole.iterdir()):
                    part.rename(folder / part.name)
            else:
                whole.rename(folder)
        finally:
            shutil.rmtree(whole, ignore_errors=True)
    except OSError as error:
        raise ConfigError(
            f"{folder}: expected a folder that can be written, but: {error.strerror or error}. Choose another."
        ) from error
    return files


def _write(whole: Path, name: str) -> list[Path]:
    """Write every template with its places filled in; ``.template`` keeps them from being read as code."""
    places = {"{{name}}": name, "{{version}}": gaplab.__version__}
    files = []
    for template in sorted(TEMPLATES.rglob("*.template")):
        relative = template.relative_to(TEMPLATES).with_suffix("")
        file = Path(*(name if part == "package" else part for part in relative.parts))
        file = {"gitignore": Path(".gitignore")}.get(str(file), file)
        text = template.read_text()
        for place, value in places.items():
            text = text.replace(place, value)
        (whole / file).parent.mkdir(parents=True, exist_ok=True)
        (whole / file).write_text(text)
        files.append(file)
    return files


def _check_name(name: str) -> None:
    """Refuse what Python could not import, or would import something else for."""
    valid = re.sub(r"\W+", "_", name).strip("_").lower()
    if not name.isidentifier() or keyword.iskeyword(name):
        nearest = (
            valid if valid.isidentifier() and not keyword.iskeyword(valid) else f"my_{valid}".rstrip("_")
        )
        raise ConfigError(
            f"{name or 'FOLDER'}: expected a name that a Python module can have (letters, digits, _), as the project's "
            f"module gets it. Try {nearest}."
        )
    if name in TAKEN or name in sys.stdlib_module_names or _is_installed(name):
        raise ConfigError(
            f"{name}: expected a name of its own, but there is another module or folder of this name in every "
            f"project. Try my_{name}."
        )


def _is_installed(name: str) -> bool:
    try:
        spec = find_spec(name)
    except ValueError:  # __main__
        return True
    return spec is not None and spec.origin is not None  # a bare folder may be the one that was given
