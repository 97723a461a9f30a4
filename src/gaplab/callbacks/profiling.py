"""Where the time of a run goes: a trace by PyTorch's profiler and a table of the dearest operators."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.profiler import ProfilerActivity, profile, schedule

from gaplab.tensorboard.loggers import event_writer


class Profiling(Callback):
    """Profiles a few blocks of steps after a warm-up.

    Writes ``trace.json`` (for chrome://tracing or ui.perfetto.dev) and ``profile.txt``, and the text
    ``run/profile`` to TensorBoard.

    Args:
        folder: The run directory.
        num_blocks: Blocks of optimiser steps that are recorded.
    """

    def __init__(self, folder: Path, num_blocks: int = 3) -> None:
        self.folder = folder
        self.num_blocks = num_blocks
        self.profiler: profile | None = None
        self.table = ""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.profiler = profile(
                activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]
                if pl_module.device.type == "cuda"
                else [ProfilerActivity.CPU],
                schedule=schedule(wait=1, warmup=1, active=self.num_blocks, repeat=1),
                on_trace_ready=self._write,
            )
            self.profiler.start()

    def _write(self, profiler: profile) -> None:
        profiler.export_chrome_trace(str(self.folder / "trace.json"))
        self.table = profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=15)
        (self.folder / "profile.txt").write_text(self.table)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.profiler is not None:
            self.profiler.step()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.profiler is None:
            return
        self.profiler.stop()
        writer = event_writer(trainer)
        if writer is not None and self.table:
            writer.add_text("run/profile", f"```\n{self.table}\n```", trainer.global_step)
