"""What a task sees of the configuration of a run."""

from typing import Protocol

from gaplab.config.data import DataConfig
from gaplab.config.logging import LoggingConfig
from gaplab.config.measures import Measures
from gaplab.config.network import NetworkConfig
from gaplab.config.optimizer import OptimizerConfig
from gaplab.config.schedule import ScheduleConfig
from gaplab.config.trainer import TrainerConfig


class Sections(Protocol):
    """The other sections beside ``task``; ``gaplab.config.schema.Config``, which imports the tasks, has them."""

    train_seed: int
    data: DataConfig
    network: NetworkConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig | None
    trainer: TrainerConfig
    logging: LoggingConfig
    measures: Measures

    @property
    def num_steps(self) -> int: ...
