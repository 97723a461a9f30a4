"""Real processes for tests: each command in a session of its own, with a deadline, its output in a file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from forked import Forked

PROJECT = Path(__file__).parents[1]
TRAIN = (sys.executable, str(PROJECT / "train.py"))
DEADLINE = 300.0
"""Seconds after which nothing is waited for any more; much more than a busy machine takes."""


class Command:
    """A running command; ``finish`` waits for it, and its whole session is ended with the block."""

    def __init__(
        self, words: Sequence[str], log: Path, environment: dict[str, str] | None = None, fresh: bool = False
    ) -> None:
        self.log = log
        self.process: Forked | subprocess.Popen[bytes]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        settings = {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(PROJECT / "src"),
            "PYTHONUNBUFFERED": "1",
        }
        everything = inherited | settings | (environment or {})
        if words[0] == sys.executable and words[1] != "-c" and not fresh:
            self.process = Forked(words, log, everything)
            return
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=log.parent,
                env=everything,
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
            with suppress(ProcessLookupError):  # it has no session yet
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()


@contextmanager
def running(
    words: Sequence[str], log: Path, environment: dict[str, str] | None = None, fresh: bool = False
) -> Iterator[Command]:
    """Run a command for the length of a block; ``fresh``: by an interpreter of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = Command(words, log, environment, fresh)
    try:
        yield command
    finally:
        command.end()


def finished(
    words: Sequence[str],
    log: Path,
    environment: dict[str, str] | None = None,
    seconds: float = DEADLINE,
    fresh: bool = False,
) -> Command:
    """Run a command to its end."""
    with running(words, log, environment, fresh) as command:
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


GATE = """
import pathlib
import time

from gaplab.callbacks.checkpoints import Checkpoints
from gaplab.process.signals import STOP_SIGNAL

begin = Checkpoints.on_train_batch_start
gate = pathlib.Path(__file__).with_name("gate")


def wait_at_gate(self, trainer, *rest):
    begin(self, trainer, *rest)
    if gate.exists() and trainer.global_step >= int(gate.read_text()):
        while trainer.is_global_zero and gate.exists() and not STOP_SIGNAL.number:
            time.sleep(0.01)
        begin(self, trainer, *rest)


Checkpoints.on_train_batch_start = wait_at_gate
"""


def closed_gate(folder: Path, step: int) -> tuple[Path, str]:
    """Return a file, and the override of an extension that holds runs from a step on while the file is there.

    What happens to a run that waits there does not depend on how fast the machine is. A stop signal is
    obeyed at the gate.
    """
    (folder / "gate.py").write_text(GATE)
    gate = folder / "gate"
    gate.write_text(str(step))
    return gate, f"extensions=[{folder / 'gate.py'}]"
