"""Lightning's Trainer from the configuration."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import FSDPStrategy, Strategy

from gaplab.callbacks.stopping import StepLimits
from gaplab.config.registry import build_choice
from gaplab.config.schema import Config
from gaplab.config.trainer import Accelerator
from gaplab.config.trainer_extra import batches_used, strategy_of
from gaplab.data.datamodule import PointDataModule
from gaplab.data.loader import STEPS_PER_BLOCK
from gaplab.distributed.cluster_environment import RanksEnvironment
from gaplab.distributed.exact_ddp import ExactDDPStrategy
from gaplab.distributed.ranks import ALONE, Ranks
from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import AtomicCheckpointIO


def build_trainer(
    config: Config,
    data: LightningDataModule,
    callbacks: list[Callback],
    loggers: list[Logger],
    ranks: Ranks = ALONE,
    root: Path | None = None,
) -> Trainer:
    """Build Lightning's Trainer, which measures and stops by optimiser steps (see callbacks/stopping.py).

    Args:
        config: The configuration.
        data: What is trained on.
        callbacks: Those of the run.
        loggers: Its loggers.
        ranks: The place of this process among those of the run.
        root: Where callbacks of Lightning's write what has no place of its own.

    Raises:
        ConfigError: If the devices asked for do not exist, the precision is none of theirs, or an argument of
            ``trainer.extra`` does not suit them.
    """
    section = config.trainer
    num_steps, between = config.num_steps, config.steps_between_evaluations
    on_gpu = section.accelerator in (Accelerator.auto, Accelerator.gpu) and torch.cuda.is_available()
    if section.precision == "16-mixed" and not on_gpu:
        raise ConfigError(
            "trainer.precision: expected a GPU for 16-mixed, but there is none or it is not used. "
            "Take bf16-mixed, which the CPU knows too, or 32-true."
        )
    extra = _extra(config, data)
    strategy = _strategy(config, ranks, on_gpu)
    try:
        trainer: Trainer = build_choice(
            section,
            accelerator=section.accelerator,
            devices=ranks.processes_per_node,
            num_nodes=ranks.num_nodes,
            strategy=strategy,
            precision=section.precision,
            deterministic=section.deterministic,
            max_epochs=-1,
            val_check_interval=getattr(
                data, "blocks_between_evaluations", between * section.accumulate_grad_batches
            ),
            accumulate_grad_batches=section.accumulate_grad_batches,
            gradient_clip_val=section.gradient_clip_val,
            gradient_clip_algorithm=section.gradient_clip_algorithm,
            sync_batchnorm=on_gpu and ranks.world_size > 1,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_checkpointing=any(isinstance(one, Checkpoint) for one in callbacks),
            enable_progress_bar=any(isinstance(one, ProgressBar) for one in callbacks),
            default_root_dir=root,
            logger=loggers,
            callbacks=[*callbacks, StepLimits(num_steps, between, section.block_steps or STEPS_PER_BLOCK)],
            plugins=[AtomicCheckpointIO(), RanksEnvironment(ranks)],
            **({"log_every_n_steps": 1, "enable_model_summary": False} | extra),
        )
        return trainer
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        if "callback" in str(error).lower():
            raise ConfigError(f"callbacks: Lightning says: {' '.join(str(error).split())}") from error
        raise ConfigError(
            f"trainer.accelerator, trainer.devices: expected what this machine has, but Lightning says: "
            f"{str(error).rstrip('.!')}. Leave trainer.accelerator=auto to take what there is."
        ) from error


def _extra(config: Config, data: LightningDataModule) -> dict[str, Any]:
    """Return the arguments of ``trainer.extra`` for Lightning; point sets limit their epochs themselves.

    Raises:
        ConfigError: For an argument that only point sets can keep.
    """
    extra = {name: value for name, value in config.trainer.extra.items() if name != "strategy"}
    extra.pop(
        "fast_dev_run", None
    )  # it would switch off loggers and checkpoints; the number of steps says it
    if isinstance(data, PointDataModule):
        if {"limit_train_batches", "overfit_batches"} & set(extra):
            data.batches_per_epoch = batches_used(extra, config.data.steps_per_epoch)
            data.same_batches = "overfit_batches" in extra
            extra = {name: value for name, value in extra.items() if not name.endswith("_batches")}
    elif "overfit_batches" in extra:
        raise ConfigError(
            "trainer.extra.overfit_batches: expected none with a data module of your own: Lightning would measure on "
            "those batches only. Let the module serve few points, or set trainer.extra.limit_train_batches."
        )
    return extra


def _strategy(config: Config, ranks: Ranks, on_gpu: bool) -> Strategy | str:
    """Return Lightning's strategy.

    Raises:
        ConfigError: For FSDP where it cannot run, or where what is measured needs whole weights.
    """
    name, arguments = strategy_of(config.trainer.extra.get("strategy", "auto"))
    if name == "fsdp":
        key = "trainer.extra.strategy"
        if not on_gpu:
            raise ConfigError(
                f"{key}: expected a GPU for fsdp, which shards weights over GPUs, but there is none or it is not used. "
                "Leave it out: processes on CPUs use DDP."
            )
        if not config.task.shards:
            raise ConfigError(
                f"{key}: expected auto or ddp: {type(config.task).__name__} is measured, drawn and compared with whole "
                "weights in every process, and fsdp shards them."
            )
        return FSDPStrategy(**arguments)
    return "auto" if ranks.world_size == 1 else ExactDDPStrategy(**arguments)
