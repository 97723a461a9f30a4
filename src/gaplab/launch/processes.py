"""Run a plan with all processes of the run, whoever starts them.

``trainer.devices=N`` starts N - 1 workers beside this process. They never see the command line: they join the
process group and receive the plan of rank 0, as do the processes that torchrun and srun start. So there is
one configuration, one directory and one sweep, whatever the number of processes.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gaplab.config.schema import Config
from gaplab.config.trainer import Accelerator, TrainerConfig
from gaplab.distributed.ranks import ALONE, Ranks, check_ranks, find_ranks
from gaplab.errors import ConfigError
from gaplab.process.fast_imports import quick_imports
from gaplab.process.signals import stop_signals_caught

if TYPE_CHECKING:
    from gaplab.runs.resume import Plan

TIMEOUT_SECONDS = 30.0
"""How long rank 0 may take to notice by itself that a worker has failed, or workers to end at the end."""


def run_with_all_processes(decide: Callable[[], "Plan"], config: Config) -> float:
    """Run what rank 0 decides; return what a sweep minimises.

    Args:
        decide: Makes the plan; called on rank 0 only.
        config: Says how many processes there should be.

    Raises:
        ConfigError: If the processes that torchrun or srun started are not those of ``config``, or they
            cannot meet.
        OtherProcessFailedError: If a worker failed first; carries its message.
    """
    with stop_signals_caught():
        ranks = find_ranks()
        if ranks is not None:
            check_ranks(ranks, config)
            return _run_as(ranks, decide, config.trainer)
        count = num_local_processes(config.trainer)
        if count == 1:
            return _run_as(ALONE, decide, config.trainer)
        with started_workers(count, config) as (ranks, listener):
            return _run_as(ranks, decide, config.trainer, listener)


def num_local_processes(config: TrainerConfig) -> int:
    """Return how many processes a plain ``python train.py`` runs in: ``auto`` takes all CUDA devices.

    Raises:
        ConfigError: If several nodes are asked for, which only torchrun or srun can reach.
    """
    if config.num_nodes not in ("auto", 1):
        raise ConfigError(
            f"trainer.num_nodes: expected torchrun or srun to start processes on {config.num_nodes} nodes, "
            "but this is a plain python process. See docs/cluster.md."
        )
    if config.devices != "auto":
        return int(config.devices)
    if config.accelerator in (Accelerator.cpu, Accelerator.mps):
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def _run_as(
    ranks: Ranks,
    decide: Callable[[], "Plan"],
    config: TrainerConfig,
    listener: socket.socket | None = None,
) -> float:
    # Torch is imported only here, while the workers start, which takes them as long.
    with quick_imports():
        from gaplab.distributed.process_group import broadcast_from_rank0, join_group
        from gaplab.train import run_planned

    join_group(ranks, config, listener)
    return run_planned(broadcast_from_rank0(ranks, decide), ranks)


@contextlib.contextmanager
def started_workers(count: int, config: Config) -> Iterator[tuple[Ranks, socket.socket]]:
    """Start ``count - 1`` workers; yield the place of this process and the socket where they will meet it.

    The workers end with the block, and with this process however it ends.
    """
    # The socket listens before the workers start: nobody else can take its port.
    listener = socket.create_server(("127.0.0.1", 0))
    ranks = Ranks(processes_per_node=count, port=listener.getsockname()[1])
    check_ranks(ranks, config)
    workers: dict[int, subprocess.Popen[bytes]] = {}
    ended = threading.Event()
    with loopback_for_gloo():
        try:
            for rank in range(1, count):
                workers[rank] = _start_worker(
                    dataclasses.replace(ranks, rank=rank, local_rank=rank), config.trainer
                )
            threading.Thread(target=_watch, args=(workers, ended), daemon=True).start()
            try:
                yield ranks, listener
            except RuntimeError as error:
                _blame_killed_worker(workers, error)
                raise
            ended.set()
            for worker in workers.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.wait(TIMEOUT_SECONDS)
        finally:
            ended.set()
            for worker in workers.values():
                with worker:  # closes its standard input, and waits
                    worker.kill()
            _leave_group()


def _start_worker(ranks: Ranks, config: TrainerConfig) -> subprocess.Popen[bytes]:
    spec = {
        "ranks": dataclasses.asdict(ranks),
        "trainer": {"accelerator": config.accelerator, "rendezvous_seconds": config.rendezvous_seconds},
    }
    # The worker reads its standard input until it closes, which it does when this process ends.
    return subprocess.Popen(
        [sys.executable, "-m", "gaplab.launch.rank_main", json.dumps(spec)], stdin=subprocess.PIPE
    )


def _blame_killed_worker(workers: dict[int, subprocess.Popen[bytes]], error: RuntimeError) -> None:
    """Raise a readable error if a worker was killed, which the process group reports as a lost connection."""
    from gaplab.errors import OtherProcessFailedError

    time.sleep(0.5)
    for rank, worker in workers.items():
        code = worker.poll()
        if code is not None and code < 0:
            raise OtherProcessFailedError(
                f"process {rank} of {len(workers) + 1} was ended by {signal.Signals(-code).name}"
            ) from error


def _watch(workers: dict[int, subprocess.Popen[bytes]], ended: threading.Event) -> None:
    """End this process if a worker has failed and a collective call hides it from the main thread."""
    while not ended.wait(0.5):
        failed = [rank for rank, worker in workers.items() if worker.poll() not in (None, 0)]
        if failed and not ended.wait(TIMEOUT_SECONDS):
            print(f"Process {failed[0]} of the run has failed; giving up.", file=sys.stderr, flush=True)
            os._exit(1)


def end_with_parent() -> None:
    """End this process at once when its standard input closes, in whatever call the main thread is."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _leave_group() -> None:
    if "torch" in sys.modules:
        from gaplab.distributed.process_group import leave_group

        leave_group()


@contextlib.contextmanager
def loopback_for_gloo() -> Iterator[None]:
    """Let gloo use the loopback interface: processes on one machine need no other, whatever its name says."""
    name = "GLOO_SOCKET_IFNAME"
    fits = name not in os.environ and os.path.isdir("/sys/class/net/lo")
    if fits:
        os.environ[name] = "lo"
    try:
        yield
    finally:
        if fits:
            del os.environ[name]
