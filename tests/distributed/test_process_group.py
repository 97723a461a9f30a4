"""Processes that cannot meet stop with a hint: a port in use, no network interface, nobody there."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaplab.config.trainer import Accelerator, TrainerConfig
from gaplab.distributed.process_group import join_group, leave_group
from gaplab.distributed.ranks import Ranks
from gaplab.errors import RendezvousError
from quick_runs import QUICK
from running import TRAIN, finished

PATIENT = TrainerConfig(accelerator=Accelerator.cpu, rendezvous_seconds=1)


@pytest.fixture(autouse=True)
def no_group_is_left() -> Iterator[None]:
    yield
    leave_group()


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RendezvousError, match="its port is free .MASTER_ADDR, MASTER_PORT.") as raised:
            join_group(Ranks(processes_per_node=2, port=port), PATIENT, tmp_path)
    assert f"at 127.0.0.1:{port}, but: " in str(raised.value)
    assert "Address already in use" in str(raised.value)


@pytest.mark.ddp
def test_no_network_interface(tmp_path: Path) -> None:
    words = [*TRAIN, *QUICK, "trainer.devices=2", f"run.root={tmp_path / 'logs'}"]
    command = finished(words, tmp_path / "log.txt", {"GLOO_SOCKET_IFNAME": "nowhere0"})
    assert command.process.returncode == 2, command.output
    assert "error: process 0 of 2: expected to meet the others at 127.0.0.1:" in command.output
    assert "nowhere0" in command.output
    assert "the network interface (GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME)" in command.output
    assert "Traceback" not in command.output
    assert not (tmp_path / "logs").exists()


def test_nobody_else_comes(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(RendezvousError, match="all processes were started"):
        join_group(Ranks(processes_per_node=2, port=free_port), PATIENT, tmp_path)
