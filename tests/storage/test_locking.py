"""One live run a directory, also where the file system has no locks."""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest

from gaplab.errors import ConfigError
from gaplab.storage.locking import LOCK, MARKER, OWNER, alone, lock, unlock

HOLD = """
import sys
from pathlib import Path
from filelock import SoftFileLock
held = SoftFileLock(Path(sys.argv[1]))
held.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system such as NFS without its lock service."""

    def refuse(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)


def test_the_owner_has_a_file_of_its_own_while_the_lock_is_held(tmp_path: Path) -> None:
    lock(tmp_path)
    lock(tmp_path)
    assert (tmp_path / OWNER).read_text().startswith("process ")
    assert (tmp_path / LOCK).read_bytes() == b"", (
        "where a lock bars others from reading, nothing is to be read"
    )
    unlock(tmp_path)
    unlock(tmp_path)
    assert not (tmp_path / OWNER).exists()


@pytest.mark.usefixtures("without_locks")
def test_a_marker_stands_for_a_lock_where_there_are_none(tmp_path: Path) -> None:
    lock(tmp_path)
    assert (tmp_path / MARKER).is_file()
    unlock(tmp_path)
    assert not (tmp_path / MARKER).exists()


@pytest.mark.usefixtures("without_locks")
def test_a_marker_bars_others_until_its_process_is_gone(tmp_path: Path) -> None:
    marker = tmp_path / MARKER
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(marker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"an unknown process.*remove {marker} if it is gone"):
            lock(tmp_path)
        other.kill()
    assert marker.is_file(), "a process that is killed leaves it behind"
    lock(tmp_path)
    unlock(tmp_path)


@pytest.mark.usefixtures("without_locks")
def test_a_marker_of_another_host_stays(tmp_path: Path) -> None:
    (tmp_path / OWNER).write_text("process 7 on elsewhere\n")
    (tmp_path / MARKER).write_text("7\nelsewhere\n")
    with pytest.raises(ConfigError, match=r"at work in this directory \(process 7 on elsewhere\)"):
        lock(tmp_path)
    assert (tmp_path / MARKER).read_text() == "7\nelsewhere\n"


def test_a_block_that_must_be_alone_makes_its_folder_and_lets_go(tmp_path: Path) -> None:
    file = tmp_path / "sweep" / ".mine"
    for _ in range(2):
        with alone(file), pytest.raises(filelock.Timeout):
            filelock.FileLock(file).acquire(timeout=0)
