"""Reading what lies in the directory of a run, which may come from somebody else or be damaged."""

import os
import stat
from pathlib import Path
from typing import Any

import yaml

from gaplab.errors import ConfigError

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C library reads the files of ten thousand runs in seconds."""
MOST_BYTES, MOST_VALUES = 2_000_000, 100_000
"""A file of settings is a thousand times smaller."""


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        ConfigError: If it cannot be read, or if its aliases stand for more values than memory has room for.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path}: expected at most {MOST_BYTES} bytes of settings, but it has more.")
        content = yaml.load(path.read_text(), SafeLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
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


def refuse_links(folder: Path) -> None:
    """Look for what lies in a run directory and is neither file nor folder: a run would write through it, or wait.

    Raises:
        ConfigError: For the first of them.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                refuse_links(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                kind = "a link" if entry.is_symlink() else "a pipe or device"
                raise ConfigError(
                    f"{entry.path}: expected a file that a run wrote, but it is {kind}. Remove it, or copy what it "
                    "stands for."
                )


def read_regular(path: Path) -> bytes | None:
    """Return the bytes of a regular file; None for links, pipes and devices, which are not opened for long."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(handle).st_mode) else None
