"""What a run costs: steps a second and memory at every measurement, seconds at the end."""

import sys
import time
from collections.abc import Callable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.runs.results import Result
from gaplab.tensorboard.loggers import MetricsTable

MIB = 2**20


class TrainingCost(Callback):
    """Logs ``cost/steps_per_second`` and ``cost/memory_mib`` at every measurement, ``final/seconds`` at the end.

    Lightning's ThroughputMonitor and DeviceStatsMonitor count in batches, where a block of steps is one, and the
    second needs psutil without a GPU. The table ``metrics.csv`` is left out: equal runs have equal tables.

    Args:
        seconds: Returns how long the run took, over all its parts; asked at the end.
    """

    def __init__(self, seconds: Callable[[], float | None]) -> None:
        self.seconds = seconds
        self.latest: dict[str, float] = {}
        self.began, self.first_step = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the clock: measuring is no part of the speed."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        device = pl_module.device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        steps, passed = trainer.global_step - self.first_step, time.perf_counter() - self.began
        self.latest = {"cost/steps_per_second": steps / passed} if steps else {}
        if (memory := peak_memory(device)) is not None:
            self.latest["cost/memory_mib"] = memory / MIB

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            _log(trainer, self.latest, trainer.global_step)
            self._begin(trainer)

    def _begin(self, trainer: Trainer) -> None:
        self.began, self.first_step = time.perf_counter(), trainer.global_step

    def on_result(self, trainer: Trainer, result: Result) -> None:
        if (seconds := self.seconds()) is not None:
            _log(trainer, {"final/seconds": seconds}, result.step)

    def __str__(self) -> str:
        """Return the latest measurement, as for a terminal."""
        speed, memory = (self.latest.get(f"cost/{name}") for name in ("steps_per_second", "memory_mib"))
        parts = [] if speed is None else [f"{speed:,.0f} steps/s"]
        return "  ".join(parts if memory is None else [*parts, f"{memory:,.0f} MiB"])


def _log(trainer: Trainer, table: dict[str, float], step: int) -> None:
    for logger in trainer.loggers:
        if not isinstance(logger, MetricsTable):
            logger.log_metrics(table, step=step)


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes so far: of tensors on a GPU, otherwise of this process; None where none can tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024
