"""The GAN from its configuration, with the scores that the law of its data allows."""

import torch

from gaplab.builders.data import grid_law, ring_law
from gaplab.builders.networks import build_network
from gaplab.config.data import DataConfig, NotebookSpiralsConfig, SpiralsConfig
from gaplab.config.gan import GANConfig
from gaplab.config.mixtures import GridConfig, RingConfig
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.errors import ConfigError
from gaplab.tasks.gan import GAN
from gaplab.tasks.gan_losses import Discriminator, Generator
from gaplab.tasks.gan_scores import LawScores, mixture_scores, spiral_scores


def build_gan(config: Config, data: PointDataModule, init_stream: torch.Generator) -> GAN:
    """Build both networks and the task; ``init_stream`` draws the generator's weights first.

    Raises:
        ConfigError: If the training points have no spread, so that nothing can be scaled by it.
    """
    task = config.task
    assert isinstance(task, GANConfig), "the table of builders chose by this type"
    scale = float(data.splits["train"].points.std())
    if not scale > 0:
        raise ConfigError("data: expected points with some spread, but all training coordinates are equal.")
    size, pack = task.label_embedding, task.pack

    def embedding() -> torch.Tensor | None:
        return torch.randn(data.num_classes, size, generator=init_stream) if size else None

    generator = Generator(
        build_network(task.generator, task.latent_size + size, data.in_features, init_stream), embedding()
    )
    discriminator = Discriminator(
        build_network(task.discriminator, pack * (data.in_features + size), 1, init_stream),
        pack,
        embedding(),
    )
    return GAN(
        generator,
        discriminator,
        config=task,
        optimizer=config.optimizer,
        scale=scale,
        num_steps=config.num_steps,
        train_seed=config.train_seed,
        law_scores=known_law_scores(config.data),
    )


def known_law_scores(config: DataConfig) -> LawScores | None:
    """Return the scores that need the formula of the law, for the laws that have one."""
    match config:
        case RingConfig():
            return mixture_scores(*ring_law(config))
        case GridConfig():
            return mixture_scores(*grid_law(config))
        case SpiralsConfig(turns=None, min_radius=0.0) | NotebookSpiralsConfig():
            return spiral_scores(config.num_arms)
    return None
