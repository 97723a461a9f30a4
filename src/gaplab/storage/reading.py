"""Reading what lies in the directory of a run, which may come from somebody else or be damaged."""

import os
import stat
from pathlib import Path
from typing import Any

import yaml

from gaplab.errors import ConfigError

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C library reads the files of ten thousand runs in seconds."""
FOREIGN = ("wandb",)
"""Folders of other programs, which make links in them and write there by themselves."""
MOST_BYTES, MOST_VALUES = 2_000_000, 100_000
"""A file of settings is a thousand times smaller."""


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        ConfigError: If it cannot be read, or if its aliases stand for more values than memory has room for.
    """
    read = read_regular(path)
    if read is None:
        raise ConfigError(
            f"{path}: expected a readable file, but there is none; a link or a pipe is not read."
        )
    if len(read) > MOST_BYTES:
        raise ConfigError(f"{path}: expected at most {MOST_BYTES} bytes of settings, but it has more.")
    try:
        content = yaml.load(read.decode(), SafeLoader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected readable YAML, but: {' '.join(str(error).split())}.") from error
    if _size(content, {}) > MOST_VALUES:
        raise ConfigError(
            f"{path}: expected the settings of a run, but its aliases make more than {MOST_VALUES} values."
        )
    return content


def _size(value: Any, known: dict[int, float]) -> float:
    """Return how many values there are once every alias is written out; infinite where one holds itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = float("inf")  # until it is counted
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known) for item in items)
    return known[id(value)]


def refuse_links(folder: Path, inside: Path | None = None) -> None:
    """Look for what lies in a run directory and leads out of it, or is a pipe: a run would write through it, or wait.

    Args:
        folder: Where to look, and below.
        inside: The run directory, if it is not ``folder``.

    Raises:
        ConfigError: For the first of them.
    """
    root = (inside or folder).resolve()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in FOREIGN:
                    refuse_links(Path(entry.path), root)
            elif entry.is_symlink():
                if not Path(entry.path).resolve().is_relative_to(root):
                    raise ConfigError(
                        f"{entry.path}: expected a file that a run wrote, but it is a link to elsewhere. Remove it, "
                        "or copy what it stands for."
                    )
            elif not entry.is_file(follow_symlinks=False):
                raise ConfigError(
                    f"{entry.path}: expected a file that a run wrote, but it is a pipe or device. Remove it."
                )


def read_regular(path: Path) -> bytes | None:
    """Return the bytes of a regular file; None for links, pipes and devices, which are not opened for long."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(handle).st_mode) else None
