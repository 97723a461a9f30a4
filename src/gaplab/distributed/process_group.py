"""The process group of a run: joining it, what rank 0 tells the others, and that they agree at the end."""

import atexit
import contextlib
import hashlib
import ipaddress
import json
import os
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # documented
from torch.distributed.rendezvous import rendezvous

from gaplab.config.trainer import Accelerator, TrainerConfig
from gaplab.distributed.ranks import Ranks
from gaplab.distributed.sealed_store import SealedStore, shared_secret
from gaplab.errors import ConfigError, OtherProcessFailedError, RanksDisagreeError, RendezvousError

FAILURE = "gaplab/failure"
"""Key of the store under which the first process that fails leaves its message."""

_sealed: SealedStore | None = None


def backend(config: TrainerConfig) -> str:
    on_gpu = config.accelerator in (Accelerator.auto, Accelerator.gpu) and torch.cuda.is_available()
    return "nccl" if on_gpu else "gloo"


def join_group(
    ranks: Ranks, config: TrainerConfig, root: Path, listener: socket.socket | None = None
) -> None:
    """Enter the process group of a run, if there is more than one process and no group yet.

    Args:
        ranks: The place of this process.
        config: Tells the backend and how long to wait for the others.
        root: ``run.root``, where rank 0 leaves the secret of the run if nobody else has made one.
        listener: The socket at the address of the ranks, where it is open already.

    Raises:
        RendezvousError: If the other processes cannot be reached in time, no network interface fits, or who is
            there is not of this run.
    """
    if ranks.world_size == 1 or dist.is_initialized():
        return
    global _sealed
    try:
        timeout = timedelta(seconds=config.rendezvous_seconds)
        store = _meet(ranks, timeout, listener)
        with shared_secret(ranks, root, store, timeout) as secret:
            _sealed = SealedStore(store, secret, ranks.rank)
            # The group itself would wait for those that are missing as long as for a collective call.
            _sealed.store.set(f"here/{ranks.rank}", "")
            _sealed.store.wait([f"here/{rank}" for rank in range(ranks.world_size)], timeout)
        dist.init_process_group(
            backend(config),
            store=_sealed.store,
            rank=ranks.rank,
            world_size=ranks.world_size,
            device_id=_device(ranks) if backend(config) == "nccl" else None,
        )
        # A group that the interpreter's end tears down may abort the process.
        atexit.register(leave_group)
    except RendezvousError:
        raise
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RendezvousError(
            f"process {ranks.rank} of {ranks.world_size}: expected to meet the others at "
            f"{ranks.address}:{ranks.port}, but: {reason}. Check that this address can be reached "
            "and its port is free (MASTER_ADDR, MASTER_PORT), that all processes were started, and the "
            "network interface (GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME)."
        ) from error


def _meet(ranks: Ranks, timeout: timedelta, listener: socket.socket | None) -> Store:
    if ranks.starter == "torchrun":
        store: Store = next(rendezvous("env://", ranks.rank, ranks.world_size, timeout=timeout))[0]
        # Its agent keeps the store over restarts, with the addresses of workers that are gone.
        return PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    if listener is None and ranks.rank == 0:
        listener = _listen(ranks)
    return TCPStore(
        ranks.address,
        ranks.port,
        ranks.world_size,
        is_master=ranks.rank == 0,
        timeout=timeout,
        wait_for_workers=False,
        master_listen_fd=None if listener is None else listener.detach(),
    )


def _listen(ranks: Ranks) -> socket.socket:
    """Listen where the others will come: by itself a store listens on all networks of the machine."""
    family, *_, address = socket.getaddrinfo(ranks.address, ranks.port, type=socket.SOCK_STREAM)[0]
    if ranks.num_nodes > 1 and ipaddress.ip_address(address[0]).is_loopback:
        address = ("", ranks.port)  # this node's name stands for the loopback here, and for more elsewhere
    return socket.create_server((str(address[0]), ranks.port), family=family)


def _device(ranks: Ranks) -> torch.device:
    torch.cuda.set_device(ranks.local_rank)
    return torch.device("cuda", ranks.local_rank)


def leave_group() -> None:
    """Destroy the process group, so that the next job of a sweep can build its own."""
    global _sealed
    if dist.is_initialized():
        dist.destroy_process_group()
    _sealed = None


def broadcast_from_rank0(ranks: Ranks, decide: Callable[[], Any]) -> Any:
    """Return what rank 0 decides: numbers, texts, lists and mappings, which travel as JSON and never as code.

    Raises:
        ConfigError: On all ranks, if ``decide`` raises one on rank 0.
        RendezvousError: If what comes is not from rank 0 of this run.
    """
    if ranks.world_size == 1:
        return decide()
    assert _sealed is not None, "the processes have met"
    if ranks.rank > 0:
        message = json.loads(_sealed.hear())
        if "refused" in message:
            raise ConfigError(message["refused"])
        return message["decided"]
    try:
        decided = decide()
    except ConfigError as error:
        _sealed.tell(json.dumps({"refused": str(error)}))
        raise
    _sealed.tell(json.dumps({"decided": decided}))
    return decided


def _tensors_on() -> torch.device:
    """Return the device of what the group exchanges."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def check_equal_parameters(module: torch.nn.Module) -> None:
    """Compare a checksum of all parameters and buffers over the processes.

    Buffers count, because they are made equal before every measurement (distributed/exact_ddp.py).

    Raises:
        RanksDisagreeError: If a process holds other values than rank 0.
    """
    if not dist.is_initialized():
        return
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    own = torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8).to(_tensors_on())
    digests = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(digests, own)
    others = [rank for rank, other in enumerate(digests) if not torch.equal(other, digests[0])]
    if others:
        raise RanksDisagreeError(
            f"the parameters of process {', '.join(map(str, others))} differ from those of process 0 at the "
            "end of the run; its numbers cannot be trusted. A task must draw the same on all processes, and "
            "change weights by gradients alone."
        )


@contextlib.contextmanager
def reported_failures(ranks: Ranks) -> Iterator[None]:
    """Let the first failing process of a run speak; the others fail for lack of it, with worse messages.

    Raises:
        OtherProcessFailedError: On rank 0, in place of the error that another process's end caused.
    """
    try:
        yield
    except Exception as error:
        if _sealed is None:
            raise
        mine = f"process {ranks.rank}: {type(error).__name__}: {error}"
        with contextlib.suppress(RuntimeError):  # the store ends with rank 0
            first = _sealed.store.compare_set(FAILURE, "", mine).decode()
            if first != mine:
                raise OtherProcessFailedError(first) from error
        raise
