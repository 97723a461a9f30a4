"""Settings that make a run of the default experiment take a fraction of a second."""

from collections.abc import Callable

from gaplab.config.compose import Composed

QUICK = (
    "data.num_points=60",
    "data.num_val_points=40",
    "data.num_test_points=80",
    "data.batch_size=16",
    "network.widths=[8]",
    "trainer.max_steps=24",
    "trainer.eval_every_n_steps=8",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "logging.pictures=false",
)
"""Overrides that make a run of the default experiment take a fraction of a second."""

DRAWN = ("logging.pictures=true", "logging.pictures_every_n_evaluations=2")
"""Further ones where the pictures matter; they take most of the time."""


def set_once(*words: str) -> list[str]:
    """Return overrides of which each key has its last value: a command line refuses to set one twice."""
    return list({word.split("=")[0]: word for word in words}.values())


Compose = Callable[..., Composed]


QUICK_GAN = (
    "task=gan",
    "data=ring",
    "data.num_points=480",
    "data.num_val_points=120",
    "data.num_test_points=160",
    "data.batch_size=48",
    "task.generator.widths=[8]",
    "task.discriminator.widths=[8]",
    "task.num_samples=100",
    "optimizer.lr=0.001",
    "trainer.max_steps=12",
    "trainer.eval_every_n_steps=6",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "logging.pictures=false",
)

GAN_INGREDIENTS = (
    "task.fourier_features=5",
    "task.fourier_amplitude=[[0,0.1],[1,1]]",
    "task.latent_coins=4",
    "task.penalty_knots=[[0,0.3],[1,0.001]]",
    "task.penalty_every_n_steps=5",
    "task.simultaneous=true",
    "task.rejection_quantile=0.9",
    "optimizer.schedule=knots",
    "optimizer.lr_knots=[[0,1],[1,0.1]]",
)
"""What a GAN may have beside the plain game."""
