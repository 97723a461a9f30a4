"""torchrun: a killed worker comes back, two hosts make one run, and nobody waits for ever."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quick_runs import set_once
from running import TRAIN, children, closed_gate, finished, points, running

pytestmark = pytest.mark.ddp

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--rdzv-backend=c10d")
SMALL = (
    "data.num_points=103",
    "data.batch_size=25",
    "network.widths=[16]",
    "network.dropout=0.2",
    "trainer.max_steps=60",
    "trainer.eval_every_n_steps=20",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "trainer.checkpoint_every_n_seconds=1e-9",
)


def started(rank: int, port: int, restart: int = 0) -> dict[str, str]:
    """What torchrun's agent says to a worker, here where rank 0 keeps the store itself."""
    return {
        "TORCHELASTIC_RUN_ID": "night",
        "TORCHELASTIC_RESTART_COUNT": str(restart),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


@pytest.mark.thorough
def test_workers_started_again_go_on_with_the_run(tmp_path: Path, free_port: int) -> None:
    gate, gated = closed_gate(tmp_path, 20)
    gate.unlink()
    words = [*TRAIN, *SMALL, gated, f"run.root={tmp_path / 'logs'}"]
    own = finished([*words, "run.id=own", "trainer.devices=2"], tmp_path / "own.txt")
    assert own.process.returncode == 0, own.output
    gate.write_text("20")
    pattern = "logs/default/torchrun-night-*/checkpoints/last.ckpt"
    for restart in (0, 1):
        with (
            running(words, tmp_path / f"0.{restart}.txt", started(0, free_port, restart)) as first,
            running(words, tmp_path / f"1.{restart}.txt", started(1, free_port, restart)) as second,
        ):
            if restart == 0:
                first.wait_for(lambda: list(tmp_path.glob(pattern)))
                second.process.kill()  # and the agent ends the others
                gate.unlink()
            else:
                assert first.finish() == 0, first.output
                assert second.finish() == 0, second.output
    (run,) = (path.parents[1] for path in tmp_path.glob(pattern))
    assert sorted(path.name for path in run.parent.iterdir()) == ["own", run.name]
    assert (run / "result.json").read_text() == (run.parent / "own" / "result.json").read_text()
    assert points(run) == points(run.parent / "own")
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["default"], "no secret is left"


@pytest.mark.thorough
def test_killed_worker_is_restarted_and_nothing_is_different(tmp_path: Path) -> None:
    gate, gated = closed_gate(tmp_path, 20)
    gate.unlink()
    train = [TRAIN[1], *SMALL, gated, f"run.root={tmp_path / 'logs'}"]
    own = finished([sys.executable, *train, "run.id=own", "trainer.devices=2"], tmp_path / "own.txt")
    assert own.process.returncode == 0, own.output
    start = [*TORCHRUN, "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1", "--rdzv-id=night"]
    start += ["--nproc-per-node=2", "--max-restarts=1"]
    gate.write_text("20")
    with running([*start, *train], tmp_path / "torchrun.txt") as command:
        pattern = "logs/default/torchrun-night-*/checkpoints/last.ckpt"
        command.wait_for(lambda: list(tmp_path.glob(pattern)))
        os.kill(children(command.process.pid)[1], signal.SIGKILL)
        gate.unlink()
        assert command.finish() == 0, command.output
    (run,) = tmp_path.glob("logs/default/torchrun-night-*")
    assert len(list((tmp_path / "logs" / "default").iterdir())) == 2
    assert (run / "result.json").read_text() == (run.parent / "own" / "result.json").read_text()
    assert points(run) == points(run.parent / "own")


def test_unreachable_rendezvous_and_other_numbers_end_with_a_hint(tmp_path: Path, free_port: int) -> None:
    environment = started(1, free_port)
    words = [*TRAIN, *SMALL, "trainer.rendezvous_seconds=1", f"run.root={tmp_path / 'logs'}"]
    alone = finished(words, tmp_path / "alone.txt", environment)
    assert alone.process.returncode == 2, alone.output
    assert f"process 1 of 2: expected to meet the others at 127.0.0.1:{free_port}" in alone.output
    assert "MASTER_ADDR" in alone.output
    other = finished([*words, "trainer.devices=3"], tmp_path / "other.txt", environment | {"RANK": "0"})
    assert other.process.returncode == 2
    assert "trainer.devices: expected the 2 that torchrun started, but got 3" in other.output
    assert not (tmp_path / "logs").exists()


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them; nothing changes in the machine's own network."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("two hosts on one machine need root and iproute2")
    first, second = (f"gaplab-{secrets.token_hex(3)}" for _ in range(2))
    commands = [f"ip netns add {first}", f"ip netns add {second}"]
    commands.append(f"ip link add name link0 netns {first} type veth peer name link0 netns {second}")
    for number, host in enumerate((first, second), start=1):
        commands.append(f"ip -n {host} address add 10.213.7.{number}/24 dev link0")
        commands += [f"ip -n {host} link set {name} up" for name in ("link0", "lo")]
    try:
        for command in commands:
            answer = subprocess.run(command.split(), capture_output=True, text=True)
            if answer.returncode:
                pytest.skip(f"this machine refuses network namespaces: {answer.stderr.strip()}")
        yield first, second
    finally:
        for host in (first, second):
            subprocess.run(["ip", "netns", "delete", host], capture_output=True)


@pytest.mark.thorough
def test_two_hosts_make_one_run(tmp_path: Path, hosts: tuple[str, str]) -> None:
    train = [TRAIN[1], *set_once(*SMALL, "trainer.max_steps=20"), f"run.root={tmp_path / 'logs'}"]
    start = [*TORCHRUN, "--nnodes=2", "--nproc-per-node=1", "--rdzv-endpoint=10.213.7.1:29400", "--rdzv-id=x"]
    environment = {"GLOO_SOCKET_IFNAME": "link0"}

    def words(number: int) -> list[str]:
        place = (f"--local-addr=10.213.7.{number + 1}", f"--rdzv-conf=is_host={number == 0}")
        return ["ip", "netns", "exec", hosts[number], *start, *place, *train]

    with (
        running(words(0), tmp_path / "first.txt", environment) as first,
        running(words(1), tmp_path / "second.txt", environment) as second,
    ):
        assert first.finish() == 0, first.output
        assert second.finish() == 0, second.output
    (run,) = (tmp_path / "logs" / "default").iterdir()
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert json.loads((run / "result.json").read_text())["step"] == 20
