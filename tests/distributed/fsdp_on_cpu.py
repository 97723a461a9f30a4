"""An extension that lets FSDP run on CPUs: all else of torch, Lightning and gaplab is real, and so are the shards.

It lifts three things. gaplab asks for a GPU. torch takes the accelerator of the machine where no device is named, and
Lightning names a device by its index, which a CPU does not have. And a state dict that is "offloaded" from the CPU to
the CPU frees what it returns (pytorch-lightning#21804). Only where FSDP_ON_CPU is set: pytest imports every file.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import lightning.fabric.strategies.model_parallel as loading
import lightning.pytorch.strategies.fsdp as saving
import torch
from torch.distributed.fsdp import (
    FullOptimStateDictConfig,
    FullStateDictConfig,
    FullyShardedDataParallel,
    StateDictType,
)
from torch.distributed.fsdp.wrap import wrap

import gaplab.builders.trainer as building
from lightning_projects import Net

build_strategy, shard = building._strategy, FullyShardedDataParallel.__init__


def whole_state(module: Any, world_size: int, rank0_only: bool = True) -> Any:
    weights, optimizers = (
        FullStateDictConfig(rank0_only=rank0_only),
        FullOptimStateDictConfig(rank0_only=rank0_only),
    )
    return FullyShardedDataParallel.state_dict_type(
        module, StateDictType.FULL_STATE_DICT, weights, optimizers
    )


if os.environ.get("FSDP_ON_CPU"):
    building._strategy = lambda config, ranks, on_gpu: build_strategy(config, ranks, True)
    FullyShardedDataParallel.__init__ = lambda self, *args, **settings: shard(  # type: ignore[method-assign]
        self, *args, **settings | {"device_id": torch.device("cpu")}
    )
    saving._get_full_state_dict_context = loading._get_full_state_dict_context = whole_state  # type: ignore[assignment]


class Watched(Net):
    """Notes how many of its weights a process holds between two steps; stopped after so many as STOP_AT says."""

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        held = sum(weights.numel() for weights in self.parameters())
        Path(self.trainer.default_root_dir, f"held{self.global_rank}.json").write_text(json.dumps(held))
        if str(self.global_step) == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), signal.SIGTERM)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)]


class Wrapped(Watched):
    """Cuts its layers itself, as large models do."""

    def configure_model(self) -> None:
        if type(self.net[0]) is torch.nn.Linear:
            self.net[0], self.net[4] = wrap(self.net[0]), wrap(self.net[4])
