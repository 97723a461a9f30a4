"""The parts of one machine that processes of a sweep get, each for itself."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from gaplab.config.trainer import Accelerator

Share = dict[str, str]
"""Environment variables that give a process its part of the machine."""

CPUS = "GAPLAB_CPUS"
"""Environment variable with the processors that a process may use, such as ``0,1``."""


GPU_FILES = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "dxg", "kfd")
"""What the drivers of NVIDIA (also on Tegra and below Windows) and AMD put into ``/dev`` of a Linux machine."""


def gpu_shares(number: int | None, accelerator: Accelerator, *, together: bool = False) -> list[Share]:
    """Return the GPUs of every process; empty if the processes are to run on the CPU, or there is no GPU.

    Args:
        number: Processes; None for one a GPU.
        accelerator: What the runs train on.
        together: Whether processes may share a GPU; otherwise there are never more than GPUs.
    """
    gpus = visible_gpus() if accelerator in (Accelerator.auto, Accelerator.gpu) else []
    if not gpus:
        return []
    if together and number is not None and number > len(gpus):
        return [{"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} for i in range(number)]
    count = min(number or len(gpus), len(gpus))
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[i::count])} for i in range(count)]


def cpu_shares(number: int) -> list[Share]:
    """Cut the processors that this process may use into equal parts."""
    cpus = own_cpus()
    parts = [cpus[i::number] or [cpus[i % len(cpus)]] for i in range(number)]
    return [{CPUS: ",".join(map(str, part))} for part in parts]


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process sees, as CUDA_VISIBLE_DEVICES takes them."""
    if not may_have_gpu():
        return []
    import torch

    if not torch.cuda.is_available():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]


def may_have_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether it makes sense to ask Torch for CUDA GPUs; if not, processes can start before Torch is loaded."""
    if sys.platform != "linux":
        return True
    return any(True for pattern in GPU_FILES for _ in devices.glob(pattern))


def has_mps() -> bool:
    """Whether this machine has an Apple GPU, of which there is one."""
    if sys.platform != "darwin":
        return False
    import torch

    return torch.backends.mps.is_available()


def own_cpus() -> list[int]:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def keep_to_share(environment: Mapping[str, str] = os.environ) -> None:
    """Keep this process to the processors that it was given."""
    if CPUS in environment and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(number) for number in environment[CPUS].split(",")})
