"""Run a plan with all processes of the run, whoever starts them.

``trainer.devices=N`` starts N - 1 processes beside this one. They never see the command line: they join the
process group and receive the plan of rank 0, as do the processes that torchrun and srun start. So there is
one configuration, one directory and one sweep, whatever the number of processes.
"""

import contextlib
import dataclasses
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gaplab.config.schema import Config
from gaplab.config.trainer import Accelerator, TrainerConfig
from gaplab.distributed.ranks import ALONE, Ranks, check_ranks, find_ranks
from gaplab.errors import ConfigError
from gaplab.process.children import Child, reap, started_children
from gaplab.process.devices import may_have_gpu
from gaplab.process.fast_imports import quick_imports
from gaplab.process.signals import stop_signals_caught

if TYPE_CHECKING:
    from gaplab.runs.resume import Plan

TIMEOUT_SECONDS = 30.0
"""How long rank 0 may take to notice by itself that another has failed, or the others to end at the end."""


def run_with_all_processes(decide: Callable[[], "Plan"], config: Config) -> float:
    """Run what rank 0 decides; return what a sweep minimises.

    Args:
        decide: Makes the plan; called on rank 0 only.
        config: Says how many processes there should be.

    Raises:
        ConfigError: If the processes that torchrun or srun started are not those of ``config``, or they
            cannot meet.
        OtherProcessFailedError: If another process failed first; carries its message.
    """
    with stop_signals_caught():
        ranks = find_ranks()
        if ranks is not None:
            check_ranks(ranks, config)
            return _run_as(ranks, decide, config)
        count = num_local_processes(config.trainer)
        if count == 1:
            return _run_as(ALONE, decide, config)
        with started_ranks(count, config) as (ranks, listener):
            return _run_as(ranks, decide, config, listener)


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
    if config.accelerator in (Accelerator.cpu, Accelerator.mps) or not may_have_gpu():
        return 1
    with quick_imports():
        import torch

    return max(1, torch.cuda.device_count())


def _run_as(
    ranks: Ranks,
    decide: Callable[[], "Plan"],
    config: Config,
    listener: socket.socket | None = None,
) -> float:
    # Torch is imported only here, while the others start, which takes them as long.
    with quick_imports():
        from gaplab.distributed.process_group import join_group
        from gaplab.runs.shared_plan import plan_together
        from gaplab.train import run_planned

    join_group(ranks, config.trainer, Path(config.run.root), listener)
    return run_planned(plan_together(ranks, decide), ranks)


@contextlib.contextmanager
def started_ranks(count: int, config: Config) -> Iterator[tuple[Ranks, socket.socket]]:
    """Start ``count - 1`` processes; yield the place of this one and the socket where they will meet it.

    They end with the block, and with this process however it ends.
    """
    # The socket listens before the others start: nobody else can take its port.
    listener = socket.create_server(("127.0.0.1", 0))
    ranks = Ranks(processes_per_node=count, port=listener.getsockname()[1], secret=secrets.token_hex(32))
    check_ranks(ranks, config)
    ended = threading.Event()
    module = "gaplab.launch.rank_main"
    try:
        with loopback_for_gloo(), started_children(module, [{}] * (count - 1)) as others:
            for rank, child in enumerate(others, start=1):
                # One that cannot even start is found by its exit code.
                with contextlib.suppress(OSError):
                    # With the configuration the child imports the modules that have registered its choices.
                    child.pipe.send((dataclasses.replace(ranks, rank=rank, local_rank=rank), config))
            threading.Thread(target=_watch, args=(others, ended), daemon=True).start()
            try:
                yield ranks, listener
            except RuntimeError as error:
                _blame_killed(others, error)
                raise
            finally:
                ended.set()
            reap(others, TIMEOUT_SECONDS)
    finally:
        _leave_group()


def _blame_killed(others: Sequence[Child], error: RuntimeError) -> None:
    """Raise a readable error if a process was killed, which the group reports as a lost connection."""
    from gaplab.errors import OtherProcessFailedError

    time.sleep(0.5)
    for rank, child in enumerate(others, start=1):
        if child.was_killed:
            raise OtherProcessFailedError(f"process {rank} of {len(others) + 1} {child.ending()}") from error


def _watch(others: Sequence[Child], ended: threading.Event) -> None:
    """End this process if another has failed and a collective call hides it from the main thread."""
    while not ended.wait(0.5):
        failed = [rank for rank, child in enumerate(others, start=1) if child.has_failed]
        if failed and not ended.wait(TIMEOUT_SECONDS):
            print(f"Process {failed[0]} of the run has failed; giving up.", file=sys.stderr, flush=True)
            os._exit(1)


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
