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
    "logging.pictures_every_n_evaluations=2",
)
"""Overrides that make a run of the default experiment take a fraction of a second."""

Compose = Callable[..., Composed]
