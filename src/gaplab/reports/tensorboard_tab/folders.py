"""Which runs and sweeps lie below a folder; nothing heavy is imported to find out."""

import os
from pathlib import Path

from gaplab.errors import ConfigError

MOST_FOLDERS = 20_000
"""Where a folder holds more, the rest is not looked at."""


def names_below(root: Path) -> dict[str, list[str]]:
    """Return the runs and the sweeps (folders with several runs) below a folder, the latest first.

    Links are not followed, and nothing inside a run is looked at.
    """
    runs: dict[str, float] = {}
    sweeps: dict[str, list[float]] = {}
    for number_seen, (folder, inner, files) in enumerate(os.walk(root)):
        if number_seen > MOST_FOLDERS:
            break
        if "run.json" in files:
            path = Path(folder)
            inner.clear()
            changed = (path / "run.json").stat().st_mtime
            runs[path.relative_to(root).as_posix()] = changed
            if path != root:
                sweeps.setdefault(path.parent.relative_to(root).as_posix(), []).append(changed)
    several = {name: max(times) for name, times in sweeps.items() if len(times) > 1}
    return {"runs": _latest_first(runs), "sweeps": _latest_first(several)}


def _latest_first(times: dict[str, float]) -> list[str]:
    return sorted(times, key=lambda name: (-times[name], name))


def folder_below(root: Path, name: str) -> Path:
    """Return a folder by its name below ``root``.

    Raises:
        ConfigError: If there is none, or if it lies elsewhere.
    """
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_dir():
        raise ConfigError(f"{name}: expected a folder below the one that TensorBoard shows.")
    return path
