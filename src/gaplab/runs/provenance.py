"""Where a run's numbers come from: code, versions, machine."""

import contextlib
import functools
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gaplab.config.registry import PROJECT_ROOT

PACKAGES = ("gaplab", "torch", "lightning", "hydra-core", "torchmetrics", "tensorboard", "numpy")
MOST_NAMED = 20
"""Untracked files that are named; there may be any number."""


def provenance() -> dict[str, Any]:
    """Return git commits and dirtiness, package versions, Python, platform and device.

    ``git`` is the repository of gaplab; ``project`` that of the current directory, if it is another one.
    """
    import torch  # here, as commands that only look at runs need not wait for it

    project = git_state(Path.cwd()) if not _is_inside_checkout(Path.cwd()) else None
    return {
        "git": git_state(PROJECT_ROOT),
        **({} if project is None else {"project": project}),
        "versions": _versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "num_threads": torch.get_num_threads(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    import torch  # only it knows the kind of its build, such as +cpu

    found = {}
    for name in PACKAGES:
        with contextlib.suppress(
            PackageNotFoundError
        ):  # gaplab itself where it is run without being installed
            found[name] = version(name)
    return found | {"torch": str(torch.__version__)}


@functools.cache
def distributions() -> str:
    """Return all installed distributions, ``name==version`` a line, from the names of their folders.

    To read the metadata of each would take longer than a short training.
    """
    found: dict[str, str] = {}
    for folder in filter(None, sys.path):
        for path in Path(folder).glob("*.dist-info") if Path(folder).is_dir() else ():
            name, _, number = path.name.removesuffix(".dist-info").partition("-")
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), number)
    return "".join(f"{name}=={number}\n" for name, number in sorted(found.items()))


@functools.cache
def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a folder's repository and whether files differ from it; None outside git.

    Untracked files count, unless git is told to ignore them; the first of them are named. It is looked up once: the
    code that a process runs is the code that it has imported.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    lines = (_git(folder, "status", "--porcelain", "--untracked-files=normal") or "").splitlines()
    untracked = [line[3:] for line in lines if line.startswith("??")]
    state: dict[str, Any] = {"commit": commit, "dirty": bool(lines)}
    return state | ({"untracked": untracked[:MOST_NAMED]} if untracked else {})


@functools.cache
def git_diff(folder: Path) -> str:
    """Return what differs from the commit of a folder's repository; empty outside git."""
    return _git(folder, "diff", "--no-ext-diff", "--no-textconv", "HEAD") or ""


def changed_repositories() -> dict[str, Path]:
    """Return the repositories whose changes belong to a run: gaplab's, and that of the current directory."""
    folders = {"gaplab": PROJECT_ROOT}
    return folders if _is_inside_checkout(Path.cwd()) else folders | {"project": Path.cwd()}


def _is_inside_checkout(folder: Path) -> bool:
    return folder.resolve().is_relative_to(PROJECT_ROOT)


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false"]
    if folder == PROJECT_ROOT:
        # The clone may be somebody else's, which git refuses to look at; its code is running anyway.
        command += ["-c", "safe.directory=*"]
    try:
        result = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, errors="replace", timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.rstrip("\n") if result.returncode == 0 else None
