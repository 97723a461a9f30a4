"""Where a run's numbers come from: code, versions, machine."""

import contextlib
import functools
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from gaplab.config.registry import PROJECT_ROOT

PACKAGES = ("gaplab", "torch", "lightning", "hydra-core", "torchmetrics", "tensorboard", "numpy")


def provenance() -> dict[str, Any]:
    """Return git commit and dirtiness, package versions, Python, platform and device."""
    return {
        "git": git_state(),
        "versions": _versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "num_threads": torch.get_num_threads(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    # Only torch itself knows the kind of its build, such as +cpu.
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(
            PackageNotFoundError
        ):  # gaplab itself where it is run without being installed
            found[name] = version(name)
    return found | {"torch": str(torch.__version__)}


@functools.cache
def git_state() -> dict[str, Any] | None:
    """Return the commit of the project and whether tracked files differ from it; None outside git.

    It is looked up once: the code that a process runs is the code that it has imported.
    """
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(PROJECT_ROOT), *arguments], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
