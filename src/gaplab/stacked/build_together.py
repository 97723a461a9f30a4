"""Compiling what several processes need at the same time: one of them does it, the others find it in the cache."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from gaplab.stacked.compile import Program
from gaplab.storage.locking import alone

FOLDER = "together"
"""In the compiler's cache: for each program a file that is locked while it is compiled, and one that says it was."""
PATIENCE_SECONDS = 120.0
"""How long to wait for a process, which somebody may have stopped, before compiling what it is at."""


def build_together(programs: Sequence[Program]) -> None:
    """Compile all programs; first those that no other process is at.

    Processes of a sweep that begin at once thus compile different programs, and load each other's. Where the file
    system has no locks, or nothing can be written, each compiles all.
    """
    folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) / FOLDER
    left = [program for program in programs if not _built(program, folder, timeout_seconds=0)]
    for program in left:
        if not _built(program, folder, PATIENCE_SECONDS):
            program.owner.build(program)


def _built(program: Program, folder: Path, timeout_seconds: float) -> bool:
    """Compile a program unless another process is at it for longer than some seconds; return whether it is compiled."""
    done = folder / program.name()
    with contextlib.ExitStack() as stack:
        mine = True
        # Of a file system without locks, or one that is full.
        with contextlib.suppress(OSError, NotImplementedError):
            if not done.exists():
                mine = stack.enter_context(alone(done.with_suffix(".lock"), timeout_seconds, marked=False))
            if done.exists():
                stack.close()  # who only loads it keeps nobody waiting
        if not mine:
            return False
        program.owner.build(program)
        with contextlib.suppress(OSError):
            if program.owner.compile:
                done.touch()
    return True
