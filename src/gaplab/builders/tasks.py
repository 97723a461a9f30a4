"""Tasks from their configuration, and data and task of a whole run."""

import functools
from collections.abc import Callable

import torch

from gaplab.builders.data import build_data
from gaplab.builders.gan import build_gan
from gaplab.builders.networks import build_network
from gaplab.config.gan import GANConfig
from gaplab.config.registry import registered_builder
from gaplab.config.schema import Config
from gaplab.config.task import ClassificationConfig
from gaplab.data.datamodule import PointDataModule
from gaplab.errors import ConfigError
from gaplab.losses.classification import LOSSES, cross_entropy
from gaplab.randomness import make_generator, seeded_global_generators
from gaplab.tasks.classifier import Classifier
from gaplab.tasks.task import Task


def build_task(config: Config, data: PointDataModule, init_stream: torch.Generator) -> Task:
    """Build the LightningModule of a run for the data it will see."""
    build = registered_builder(config.task) or TASKS[type(config.task)]
    task: Task = build(config, data, init_stream)
    return task


def build_classifier(config: Config, data: PointDataModule, init_stream: torch.Generator) -> Classifier:
    assert isinstance(config.task, ClassificationConfig), "the table of builders chose by this type"
    if data.num_classes < 2:
        raise ConfigError(
            "task: expected at least two classes to tell apart, but this point set has one. "
            "Learn its law with task=gan."
        )
    score = loss_fn = LOSSES[config.task.loss]
    if config.task.label_smoothing:
        loss_fn = functools.partial(cross_entropy, label_smoothing=config.task.label_smoothing)
    return Classifier(
        build_network(config.network, data.in_features, data.num_classes, init_stream),
        loss_fn,
        score,
        optimizer=config.optimizer,
        num_steps=config.num_steps,
        train_seed=config.train_seed,
    )


TASKS: dict[type, Callable[..., Task]] = {
    ClassificationConfig: build_classifier,
    GANConfig: build_gan,
}


SharedDraws = dict[tuple[str, int], PointDataModule]
"""Point sets by settings and seed: runs beside each other that draw the same points can share them."""


def build_data_and_task(config: Config, draws: SharedDraws | None = None) -> tuple[PointDataModule, Task]:
    """Build data and task of a run, in the order in which they draw random numbers.

    With ``draws`` a point set is drawn once for all runs that ask for the same one; its order and number of
    steps are then those of the first run.
    """
    init_stream = (
        make_generator(config.data_seed) if config.shared_rng else make_generator(config.init_seed, "weights")
    )
    if draws is None or config.shared_rng:
        data = build_data(config, init_stream)
    else:
        key = repr(config.data), config.data_seed
        if key not in draws:
            draws[key] = build_data(config, init_stream)
        data = draws[key]
    with seeded_global_generators(config.init_seed, "global", "weights"):
        return data, build_task(config, data, init_stream)
