"""The root of the configuration: every section, and what must fit together across sections."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from omegaconf import II

from gaplab.config.callbacks import check_callbacks
from gaplab.config.checks import check
from gaplab.config.data import DataConfig
from gaplab.config.evaluations import EvenlySpaced, log_spaced
from gaplab.config.hydra_versions import offer
from gaplab.config.logging import LoggingConfig
from gaplab.config.measures import Measures
from gaplab.config.network import NetworkConfig
from gaplab.config.optimizer import OptimizerConfig, Schedule
from gaplab.config.phenomenon import PhenomenonConfig
from gaplab.config.registry import build_choice
from gaplab.config.schedule import Interval, ScheduleConfig
from gaplab.config.task import TaskConfig
from gaplab.config.trainer import TrainerConfig
from gaplab.config.trainer_extra import batches_used
from gaplab.errors import ConfigError

CHOICES_IN = (
    "autoencoder",
    "data_files",
    "gan",
    "lightning_project",
    "mixtures",
    "point_samplers",
    "regression",
    "spiral_data",
    "torch_optimizer",
)
"""Files of this room whose choices enter the table; one that was deleted offers nothing, and nothing else needs it."""
for _file in CHOICES_IN:
    if find_spec(f"gaplab.config.{_file}") is not None:
        import_module(f"gaplab.config.{_file}")

DEFAULT_STEPS = 10_000
LONGEST_NAME = 255
"""Bytes of the name of a file or folder, on nearly every file system."""


class Relation(StrEnum):
    near = "near"
    at_most = "at_most"
    at_least = "at_least"


class InitFrom(StrEnum):
    best = "best"
    last = "last"


@dataclass(kw_only=True, slots=True)
class PublishedNumber:
    """A number that an experiment must reproduce."""

    name: str
    """A key of the last weights' result, for example ``loss/train``, or ``epochs``."""
    value: float
    tolerance: float = 0.0
    relation: Relation = Relation.near
    step: int | None = None
    """Optimiser step at which it was published; null for the end."""
    source: str = ""


@dataclass(kw_only=True, slots=True)
class RunConfig:
    """Where a run is written."""

    root: str = "logs"
    """Folder that holds all runs."""
    name: str | None = None
    """Folder below it; null for the name of the experiment."""
    id: str | None = None
    """Folder of this run; null for one made from the scheduler's job id or the time."""
    again: bool = False
    """Run anew what is there already; it is moved to the folder ``earlier`` beside it."""

    def __post_init__(self) -> None:
        if self.id is not None:
            check(
                self.id not in ("", ".", "..") and "/" not in self.id,
                "run.id",
                "the name of one folder, without /",
                self.id,
            )
        if self.name is not None:
            check(
                not {"", ".", ".."} & set(self.name.split("/")),
                "run.name",
                "a folder below run.root, without ..",
                self.name,
            )
        for key, text in (("id", self.id), ("name", self.name)):
            longest = max((len(part.encode()) for part in (text or "").split("/")), default=0)
            check(longest <= LONGEST_NAME, f"run.{key}", f"names of at most {LONGEST_NAME} bytes", text)


@dataclass(kw_only=True, slots=True)
class Config:
    """Everything that determines a run."""

    seed: int = 0
    """Default of the three seeds below."""
    data_seed: int = II("seed")
    """Seed of the points and labels."""
    init_seed: int = II("seed")
    """Seed of the initial weights."""
    train_seed: int = II("seed")
    """Seed of the order of the points, and of dropout and latent noise."""
    shared_rng: bool = False
    """Let the initial weights continue the random stream that drew the data, as short scripts do; otherwise data,
    weights and training each have a stream of their own."""
    resume: str | None = None
    """A run directory to continue, or ``auto`` to continue this run's own if it exists."""
    tags: list[str] = field(default_factory=list)
    """Free words that are recorded with the run."""
    extensions: list[str] = field(default_factory=list)
    """Python files that register further choices; named on the command line, recorded as absolute paths."""
    init_from: str | None = None
    """A run directory or a checkpoint whose weights this run starts from, at step 0."""
    init_from_weights: InitFrom = InitFrom.best
    """Which weights of that run."""
    run: RunConfig = field(default_factory=RunConfig)
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig | None = None
    """A learning-rate schedule of torch in place of ``optimizer.schedule``, which null leaves in place."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    callbacks: list[Any] = field(default_factory=list)
    """Callbacks of Lightning or of extensions: names, or mappings ``{_target_: NAME, argument: value}``."""
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    measures: Measures = Measures.bounds
    """What is measured at the last weights beside losses and gaps."""
    phenomenon: PhenomenonConfig = field(default_factory=PhenomenonConfig)
    """A statement to test instead of training one network; set by ``experiment=phenomena/...``."""
    published: list[PublishedNumber] = field(default_factory=list)
    """Numbers that the end of the run is compared with."""

    def __post_init__(self) -> None:
        for key in ("seed", "data_seed", "init_seed", "train_seed"):
            check(0 <= getattr(self, key) < 2**63, key, "a whole number in [0, 2^63)", getattr(self, key))
        if self.trainer.early_stopping_patience is not None and not self.has_validation:
            raise ConfigError(
                "trainer.early_stopping_patience: expected validation points to watch, but "
                "data.num_val_points and data.num_folds are 0. Set one of them."
            )
        check_callbacks(
            self.callbacks,
            has_loggers=self.logging.tensorboard or self.logging.csv or bool(self.logging.extra),
            progress_bar=self.trainer.progress_bar,
        )
        self._check_schedule()
        check(
            self.optimizer.sharpness_radius == 0 or self.trainer.accumulate_grad_batches == 1,
            "optimizer.sharpness_radius",
            "0 beside trainer.accumulate_grad_batches, as a gradient is taken twice a step",
            self.optimizer.sharpness_radius,
        )
        self.task.check_fits(self)
        if self.trainer.num_processes is not None:
            self.check_num_processes(self.trainer.num_processes)

    def _check_schedule(self) -> None:
        own = self.optimizer
        if self.schedule is None:
            return
        if own.schedule is not Schedule.constant or own.warmup_steps:
            raise ConfigError(
                "schedule: expected optimizer.schedule=constant and optimizer.warmup_steps=0 beside it, as one of "
                "them moves the learning rate. Set schedule=null, or those two back."
            )
        import torch

        tiny = [torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))]
        build_choice(
            self.schedule, build_choice(own, tiny), self.schedule_length
        )  # may refuse a value or both together

    @property
    def schedule_length(self) -> int:
        """How often a schedule of the section ``schedule`` moves in the whole run."""
        after = self.schedule.moves_after if self.schedule is not None else Interval.step
        if after is Interval.epoch:
            return -(-self.num_steps // self.steps_per_epoch)
        return self.num_steps if after is Interval.step else len(self.evaluation_steps)

    def check_num_processes(self, number: int) -> None:
        """Raise ``ConfigError`` if a batch cannot be shared by that many processes."""
        if self.task.has_own_data:
            return
        if self.data.batch_size is None and self.data.num_points is None:
            return  # known when the data are built
        check(
            number <= self.data.points_per_step,
            "trainer.devices",
            f"at most as many processes as points in a batch ({self.data.points_per_step})",
            number,
            "Raise data.batch_size.",
        )

    def take_sizes(self, sizes: Mapping[str, int]) -> None:
        """Make the sizes of the data that were built those of the configuration.

        Raises:
            ConfigError: If other settings do not suit them.
        """
        if self.data.take_sizes(sizes):
            self.__post_init__()

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation split; until data without a size are built, it is assumed."""
        return self.data.num_val_points != 0 or self.data.num_folds > 0

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the whole run."""
        if self.trainer.fast_dev_steps is not None:
            return self.trainer.fast_dev_steps
        if self.trainer.max_epochs is not None:
            return self.trainer.max_epochs * self.steps_per_epoch
        return self.trainer.max_steps or DEFAULT_STEPS

    @property
    def first_averaged_step(self) -> int | None:
        """Number of the first step, from 0, whose weights stochastic weight averaging counts; None without it."""
        share = self.trainer.swa_start
        return None if share is None else min(math.ceil(share * self.num_steps), self.num_steps - 1)

    @property
    def evaluation_steps(self) -> Sequence[int]:
        """Optimiser steps at which all splits are measured, in order; the last one ends the run.

        Early stopping counts measurements, which are then evenly spaced.
        """
        every, steps = self.trainer.eval_every_n_steps, self.num_steps
        if every is None and self.trainer.early_stopping_patience is None:
            return log_spaced(steps)
        return EvenlySpaced(steps, every or max(1, steps // 10))

    @property
    def batches_per_epoch(self) -> int | None:
        """Batches of an epoch that train, where ``trainer.extra`` limits them; None for all."""
        limited = {"limit_train_batches", "overfit_batches"} & set(self.trainer.extra)
        return batches_used(self.trainer.extra, self.data.steps_per_epoch) if limited else None

    @property
    def same_batches(self) -> bool:
        """Whether every epoch has the batches of the first one."""
        return "overfit_batches" in self.trainer.extra

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of a pass over the training points, or over the batches of them that are used."""
        batches = batches_used(self.trainer.extra, self.data.steps_per_epoch)
        return -(-batches // self.trainer.accumulate_grad_batches)


offer("schema", Config)
