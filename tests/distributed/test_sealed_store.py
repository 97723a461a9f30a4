"""The secret of a run: who has it meets, who has another or none is refused, and what strangers plant is not read."""

import hashlib
import hmac
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from torch.distributed import HashStore, TCPStore

from gaplab.distributed.ranks import Ranks
from gaplab.distributed.sealed_store import SealedStore, proof, shared_secret
from gaplab.errors import RendezvousError

SOON = timedelta(seconds=0.2)


def place(rank: int, secret: str | None = None) -> Ranks:
    return Ranks(rank=rank, processes_per_node=2, starter="srun", job="41.0", port=20_041, secret=secret)


def test_proof_is_the_hmac_of_name_and_content() -> None:
    """By the definition of RFC 2104, with blocks of 64 bytes."""
    key = b"k" * 32 + bytes(32)
    outer, inner = (bytes(byte ^ pad for byte in key) for pad in (0x5C, 0x36))
    digest = hashlib.sha256(outer + hashlib.sha256(inner + b"name\0content").digest()).hexdigest()
    assert proof("k" * 32, "name", "content") == digest


def test_a_file_of_this_user_alone_holds_the_secret_while_they_meet(tmp_path: Path) -> None:
    store, root = HashStore(), tmp_path / "new" / "logs"
    with shared_secret(place(0), root, store, SOON) as first:
        (file,) = root.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        with shared_secret(place(1), root, store, SOON) as second:
            assert first == second == file.read_text()
    assert len(first) == 64
    assert not list(tmp_path.iterdir()), "folders that were there for the file alone are gone"
    with shared_secret(place(0), root, HashStore(), SOON) as other:
        assert other != first


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    with shared_secret(place(0), tmp_path, HashStore(), SOON):
        (file,) = tmp_path.iterdir()
    file.symlink_to(tmp_path / "target")
    (tmp_path / "target").write_text("mine")
    store = HashStore()
    with (
        shared_secret(place(0), tmp_path, store, SOON) as first,
        shared_secret(place(1), tmp_path, store, SOON) as second,
    ):
        assert first == second
    assert (tmp_path / "target").read_text() == "mine"


def test_another_secret_is_refused(tmp_path: Path) -> None:
    store = HashStore()
    with (
        shared_secret(place(0, "a" * 32), tmp_path, store, SOON),
        pytest.raises(RendezvousError, match="process 1: .* who is there does not know the run's secret"),
        shared_secret(place(1, "b" * 32), tmp_path, store, SOON),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_missing_secret_is_refused(tmp_path: Path) -> None:
    store = HashStore()
    with (
        shared_secret(place(0, "a" * 32), tmp_path, store, SOON),
        pytest.raises(RendezvousError, match="same run.root, or export the same random GAPLAB_SECRET"),
        shared_secret(place(1), tmp_path, store, SOON),
    ):
        pass


@pytest.mark.parametrize("fault", ["open to others", "link", "pipe"])
def test_a_file_that_others_may_have_made_is_refused(tmp_path: Path, fault: str) -> None:
    store = HashStore()
    with shared_secret(place(0), tmp_path, store, SOON):
        (file,) = tmp_path.iterdir()
        if fault == "open to others":
            file.chmod(0o644)
        else:
            file.rename(tmp_path / "moved")
            file.symlink_to(tmp_path / "moved") if fault == "link" else os.mkfifo(file, 0o600)
        with (
            pytest.raises(RendezvousError, match="process 1: expected the run's secret in"),
            shared_secret(place(1), tmp_path, store, SOON),
        ):
            pass


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with (
        pytest.raises(RendezvousError, match=r"run.root: expected a folder .* GAPLAB_SECRET"),
        shared_secret(place(0), tmp_path / "logs", HashStore(), SOON),
    ):
        pass


def test_a_planted_plan_is_refused(free_port: int) -> None:
    """By somebody on the node who can reach the port, and even lists the names that he cannot guess."""
    server = TCPStore("127.0.0.1", free_port, 2, is_master=True, wait_for_workers=False)
    first, second = (SealedStore(server, "s" * 32, rank) for rank in (0, 1))
    first.tell(json.dumps({"decided": "the plan"}))
    stranger = TCPStore("127.0.0.1", free_port, 2, is_master=False, wait_for_workers=False)
    assert not stranger.check(["message/1"]), "no name can be guessed"
    (name,) = (key for key in stranger.list_keys() if key.endswith("message/1"))
    sealed = stranger.get(name).decode()
    assert second.hear() == json.dumps({"decided": "the plan"})
    plans = [
        json.dumps({"decided": "another plan"}),
        hmac.digest(b"guess", b"another plan", "sha256").hex() + "another plan",
        sealed[:-1] + "]",
        sealed,  # an earlier message once more
        "",
    ]
    for number, plan in enumerate(plans, start=2):
        stranger.set(name.replace("message/1", f"message/{number}"), plan)
        with pytest.raises(
            RendezvousError, match="does not carry the proof of this run's secret; it was not read"
        ):
            second.hear()
