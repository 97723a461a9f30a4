"""Lightning's Trainer from the configuration."""

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from gaplab.callbacks.stopping import StopAtLastStep
from gaplab.config.registry import build_choice
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.distributed.cluster_environment import RanksEnvironment
from gaplab.distributed.ranks import ALONE, Ranks
from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import AtomicCheckpointIO


def build_trainer(
    config: Config,
    data: PointDataModule,
    callbacks: list[Callback],
    loggers: list[Logger],
    ranks: Ranks = ALONE,
) -> Trainer:
    """Build Lightning's Trainer, which stops at the last step of ``data`` (see data/loader.py).

    Raises:
        ConfigError: If the devices asked for do not exist.
    """
    section = config.trainer
    try:
        trainer: Trainer = build_choice(
            section,
            accelerator=section.accelerator,
            devices=ranks.processes_per_node,
            num_nodes=ranks.num_nodes,
            strategy="auto" if ranks.world_size == 1 else SummedGradients(),
            precision=section.precision,
            deterministic=section.deterministic,
            max_epochs=-1,
            val_check_interval=data.blocks_between_evaluations,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=section.progress_bar,
            logger=loggers,
            callbacks=[*callbacks, StopAtLastStep(data.num_steps)],
            plugins=[AtomicCheckpointIO(), RanksEnvironment(ranks)],
        )
        return trainer
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"trainer.accelerator, trainer.devices: expected what this machine has, but Lightning says: "
            f"{str(error).rstrip('.!')}. Leave trainer.accelerator=auto to take what there is."
        ) from error


class SummedGradients(DDPStrategy):
    """Lightning's strategy of one process a device, without the module ``DistributedDataParallel``.

    That module averages gradients over processes as soon as they are ready. Here ``make_closure`` sums
    them, because parts of a batch may differ in size; what remains is to begin with equal weights.
    """

    def configure_ddp(self) -> None:
        assert self.model is not None
        for tensor in self.model.state_dict().values():
            torch.distributed.broadcast(tensor, src=0)
