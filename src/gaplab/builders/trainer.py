"""Lightning's Trainer from the configuration."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy

from gaplab.callbacks.resumable_training import ResumableTraining
from gaplab.callbacks.stopping import StepLimits
from gaplab.config.registry import build_choice
from gaplab.config.schema import Config
from gaplab.config.trainer import Accelerator
from gaplab.config.trainer_extra import strategy_of
from gaplab.data.datamodule import PointDataModule
from gaplab.data.loader import STEPS_PER_BLOCK
from gaplab.distributed.cluster_environment import RanksEnvironment
from gaplab.distributed.exact_ddp import ExactDDPStrategy
from gaplab.distributed.ranks import ALONE, Ranks
from gaplab.distributed.sharding import ShardedStrategy
from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import AtomicCheckpointIO


def build_trainer(
    config: Config,
    callbacks: list[Callback],
    loggers: list[Logger],
    ranks: Ranks = ALONE,
    *,
    data: LightningDataModule | None = None,
    root: Path | None = None,
) -> Trainer:
    """Build Lightning's Trainer, which measures and stops by optimiser steps (see callbacks/stopping.py).

    Args:
        config: The configuration.
        callbacks: Those of the run.
        loggers: Its loggers.
        ranks: The place of this process among those of the run.
        data: What is trained on, where it may be a data module of somebody else's.
        root: Where callbacks of Lightning's write what has no place of its own.

    Raises:
        ConfigError: If the devices asked for do not exist, the precision is none of theirs, or an argument of
            ``trainer.extra`` does not suit them.
    """
    section = config.trainer
    on_gpu = section.accelerator in (Accelerator.auto, Accelerator.gpu) and torch.cuda.is_available()
    if section.precision == "16-mixed" and not on_gpu:
        raise ConfigError(
            "trainer.precision: expected a GPU for 16-mixed, but there is none or it is not used. "
            "Take bf16-mixed, which the CPU knows too, or 32-true."
        )
    # What is kept at single steps ends a block there.
    block_steps = 1 if config.logging.checkpoint_steps else section.block_steps or STEPS_PER_BLOCK
    compiled_loop = partial(config.task.build_compiled_loop, config)
    settings: dict[str, Any] = {
        "max_epochs": -1,
        "val_check_interval": 1,  # StepLimits says when
        "check_val_every_n_epoch": None,
        "callbacks": [*callbacks, StepLimits(config.evaluation_steps, block_steps, compiled_loop)],
    }
    if config.task.has_own_data:
        settings |= _pace_of_a_project(config, callbacks)
    extra = _extra(config, data)
    strategy = _strategy(config, ranks, on_gpu)
    try:
        trainer: Trainer = build_choice(
            section,
            **settings,
            accelerator=section.accelerator,
            devices=ranks.processes_per_node,
            num_nodes=ranks.num_nodes,
            strategy=strategy,
            precision=section.precision,
            deterministic=section.deterministic,
            accumulate_grad_batches=section.accumulate_grad_batches,
            gradient_clip_val=section.gradient_clip_val,
            gradient_clip_algorithm=section.gradient_clip_algorithm,
            sync_batchnorm=on_gpu and ranks.world_size > 1,
            num_sanity_val_steps=0,
            enable_checkpointing=any(isinstance(one, Checkpoint) for one in callbacks),
            enable_progress_bar=any(isinstance(one, ProgressBar) for one in callbacks),
            default_root_dir=root,
            logger=loggers,
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


def _pace_of_a_project(config: Config, callbacks: list[Callback]) -> dict[str, Any]:
    """Return when a project with loaders of its own ends and is measured, in Lightning's terms."""
    section = config.trainer
    every, in_epochs = section.eval_every_n_steps, section.max_epochs is not None
    if every is None and in_epochs:
        measured: dict[str, Any] = {"val_check_interval": 1.0, "check_val_every_n_epoch": 1}
    else:
        batches = (every or max(1, config.num_steps // 10)) * section.accumulate_grad_batches
        measured = {"val_check_interval": batches, "check_val_every_n_epoch": None}
    limits = ResumableTraining(config.train_seed, None if in_epochs else config.num_steps)
    return {**measured, "max_epochs": section.max_epochs or -1, "callbacks": [*callbacks, limits]}


def _extra(config: Config, data: LightningDataModule | None) -> dict[str, Any]:
    """Return the arguments of ``trainer.extra`` for Lightning; point sets limit their epochs themselves.

    Raises:
        ConfigError: For an argument that only point sets can keep.
    """
    extra = {name: value for name, value in config.trainer.extra.items() if name != "strategy"}
    extra.pop(
        "fast_dev_run", None
    )  # it would switch off loggers and checkpoints; the number of steps says it
    if not config.task.has_own_data and (data is None or isinstance(data, PointDataModule)):
        extra = {
            name: extra[name] for name in extra if name not in ("limit_train_batches", "overfit_batches")
        }
    elif "overfit_batches" in extra:
        raise ConfigError(
            "trainer.extra.overfit_batches: expected none with a data module of your own: Lightning would measure on "
            "those batches only. Let the module serve few points, or set trainer.extra.limit_train_batches."
        )
    return extra


def _strategy(config: Config, ranks: Ranks, on_gpu: bool) -> Strategy | str:
    """Return Lightning's strategy.

    Raises:
        ConfigError: For FSDP where it cannot run, or where something needs whole weights.
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
                "weights in every process, and fsdp shards them. A project of task=lightning may be sharded."
            )
        if arguments.get("state_dict_type", "full") != "full":
            raise ConfigError(
                f"{key}: expected state_dict_type=full, which makes a checkpoint one file that opens anywhere, but got "
                f"{arguments['state_dict_type']!r}."
            )
        return ShardedStrategy(**arguments)
    return "auto" if ranks.world_size == 1 else ExactDDPStrategy(**arguments)
