"""Real processes for tests: each command in a session of its own, with a deadline, its output in a file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

PROJECT = Path(__file__).parents[1]
TRAIN = (sys.executable, str(PROJECT / "train.py"))
DEADLINE = 120.0


class Command:
    """A running command; ``finish`` waits for it, and its whole session is ended with the block."""

    def __init__(self, words: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        settings = {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(PROJECT / "src"),
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=log.parent,
                env=inherited | settings | (environment or {}),
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def finish(self, seconds: float = DEADLINE) -> int:
        """Return the exit code; end the session and fail after the deadline."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end after {seconds} s; output:\n{self.output}") from None

    def wait_for(self, condition: Callable[[], Any], seconds: float = DEADLINE) -> None:
        """Wait until ``condition()`` is true while the command runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the command ended; output:\n{self.output}"
            assert time.monotonic() < deadline, f"waited in vain; output:\n{self.output}"
            time.sleep(0.02)

    def children(self) -> list[int]:
        return children(self.process.pid)

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def running(words: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Iterator[Command]:
    """Run a command for the length of a block."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = Command(words, log, environment)
    try:
        yield command
    finally:
        command.end()


def finished(
    words: Sequence[str], log: Path, environment: dict[str, str] | None = None, seconds: float = DEADLINE
) -> Command:
    """Run a command to its end."""
    with running(words, log, environment) as command:
        command.finish(seconds)
    return command


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def points(run: Path) -> dict[tuple[str, int], bytes]:
    """Return the values in all event files of a run, by tag and step; none may occur twice.

    What its clock and its memory say is left out: equal runs differ in it.
    """
    found: dict[tuple[str, int], bytes] = {}
    for file in sorted(run.rglob("events.out.tfevents.*")):
        for raw in RawEventFileLoader(str(file)).Load():
            event = Event.FromString(raw)
            for value in event.summary.value:
                key = (f"{file.parent.relative_to(run)}/{value.tag}", event.step)
                assert key not in found, f"{key} was logged twice"
                names_the_run = value.tag.startswith(("run/card", "_hparams_"))
                found[key] = b"" if names_the_run else value.SerializeToString()
    return {
        key: value for key, value in found.items() if not key[0].startswith(("./cost/", "./final/seconds"))
    }
