"""Starting, hearing, signalling and reaping processes, and what becomes of them when their parent is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaplab.process.children import (
    Child,
    reap,
    signal_all,
    start_another,
    start_child,
    started_children,
)
from running import DEADLINE, PROJECT, alive

ECHO = """
import os, sys, time
from gaplab.process.children import end_with_parent, pipe_to_parent
pipe = pipe_to_parent()
pipe.send((os.getpid(), os.environ.get("SHARE")))
if pipe.recv() == "end":
    sys.exit(3)
pipe.send("waits")
end_with_parent(pipe)
time.sleep(600)
"""
PARENT = """
import sys
from gaplab.process.children import start_child
child = start_child("echo")
child.pipe.send("wait")
print(child.pipe.recv()[0], child.pipe.recv(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module ``echo`` that children run."""
    (tmp_path / "echo.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{PROJECT / 'src'}")


def hear(child: Child) -> object:
    assert child.pipe.poll(DEADLINE)
    return child.pipe.recv()


def test_a_child_is_told_and_heard_and_its_ending_is_a_sentence() -> None:
    child = start_child("echo", {"SHARE": "half"})
    assert hear(child) == (child.process.pid, "half")
    assert not child.has_failed
    child.pipe.send("end")
    assert child.ending() == "ended with exit code 3"
    assert child.has_failed
    assert not child.was_killed
    again = start_another(child)
    assert hear(again) == (again.process.pid, "half")
    signal_all([again], signal.SIGKILL)
    assert again.ending() == "was ended by SIGKILL"
    assert again.was_killed
    reap([child, again])
    assert again.pipe.closed


def test_own_session_keeps_the_terminal_away() -> None:
    with started_children("echo", [{}, {"SHARE": "x"}], own_session=True) as children:
        for child in children:
            hear(child)
            assert os.getsid(child.process.pid) == child.process.pid != os.getsid(0)
    assert [child.ending() for child in children] == ["was ended by SIGKILL"] * 2


def test_reaping_waits_for_those_that_end_and_kills_the_others() -> None:
    ends, stays = start_child("echo"), start_child("echo")
    for child, word in ((ends, "end"), (stays, "wait")):
        hear(child)
        child.pipe.send(word)
    ends.process.wait(DEADLINE)
    reap([ends, stays], 0.1)
    assert (ends.process.returncode, stays.process.returncode) == (3, -signal.SIGKILL)


def test_a_child_ends_when_its_parent_is_killed() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, word = parent.stdout.readline().split()
        assert word == "waits"
        assert alive(int(pid))
        parent.kill()
    deadline = time.monotonic() + DEADLINE
    while alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(int(pid))
