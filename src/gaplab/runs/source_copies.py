"""The folder ``provenance/`` of a run: sources of extensions, changes of the code, and everything installed."""

import hashlib
import os
from pathlib import Path

from gaplab.config.extensions import loaded_sources
from gaplab.runs.provenance import changed_repositories, distributions, git_diff
from gaplab.storage.atomic import write_text

FOLDER = "provenance"
MOST_CHARACTERS = 1_000_000
"""Of a diff; what is longer is cut, as the run directory of a small network should stay small."""

_written: dict[str, Path] = {}
"""A copy by the hash of its content: the runs of a sweep link to one file instead of writing thousands."""


def write_sources(run: Path) -> None:
    """Write what is needed to run the same code again, beside commit and configuration."""
    for name, content in _contents().items():
        file = run / FOLDER / name
        digest = hashlib.blake2b(content.encode()).hexdigest()
        if not _linked(_written.get(digest), file):
            write_text(file, content)
            _written[digest] = file


def _contents() -> dict[str, str]:
    contents = {"packages.txt": distributions()}
    for name, folder in changed_repositories().items():
        if diff := git_diff(folder):
            cut = diff[:MOST_CHARACTERS]
            contents[f"{name}.diff"] = cut + ("\n" if cut == diff else "\n[cut: the diff is longer]\n")
    for name, file in loaded_sources().items():
        if file.is_file():
            contents[f"extensions/{name}"] = file.read_text(errors="replace")
    return contents


def _linked(source: Path | None, file: Path) -> bool:
    """Return whether ``file`` is now a second name of ``source``."""
    if source is None:
        return False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        os.link(source, file)
    except OSError:  # the first run is gone, or is on another disk
        return False
    return True
