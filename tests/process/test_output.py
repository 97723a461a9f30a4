"""What a command says never decides how it ends: closed pipes, full disks, terminals of few letters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEAKER = """
import sys
from gaplab.process.output import steady_output
steady_output()
for number in range(20_000):
    print("a gap of \xb1", number)
print("\u221e", file=sys.stderr)
sys.stdout.flush()
open(sys.argv[1], "w").write("to the end")
"""


def say(tmp_path: Path, **settings: object) -> "subprocess.CompletedProcess[bytes]":
    words = [sys.executable, "-S", "-c", SPEAKER, str(tmp_path / "end")]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PYTHONIOENCODING": "ascii"}
    return subprocess.run(words, env=environment, timeout=300, **settings)  # type: ignore[call-overload]


def test_a_reader_that_has_enough_ends_nothing(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as closed:
        answer = say(tmp_path, stdout=closed, stderr=closed)
    assert answer.returncode == 0
    assert (tmp_path / "end").read_text() == "to the end"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_log_file_on_a_full_disk_ends_nothing(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        assert say(tmp_path, stdout=full, stderr=full).returncode == 0
    assert (tmp_path / "end").read_text() == "to the end"


def test_a_terminal_of_few_letters_gets_those_that_it_has(tmp_path: Path) -> None:
    answer = say(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[-1] == b"a gap of ? 19999"
    assert answer.stderr == b"\\u221e\n"
