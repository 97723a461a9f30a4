"""A sweep from its command line, in this process."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gaplab import cli
from gaplab.sweeps.job import LAUNCHED
from quick_runs import QUICK, set_once

Main = Callable[..., int]


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """Run a command line in this process, below ``tmp_path / "logs"``; return its exit code."""

    def run(*words: str) -> int:
        LAUNCHED.clear()
        own = set_once(*QUICK, f"run.root={tmp_path / 'logs'}", *words)
        monkeypatch.setattr(sys, "argv", ["train.py", *own])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    for name in (cli.SWEEP_FOLDER, "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "")
    return run
