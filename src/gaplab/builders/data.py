"""The point set of a run, with a random stream for each of its splits."""

from collections.abc import Callable

import torch

from gaplab.config.registry import build_choice
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.randomness import make_generator, seeded_global_generators


def build_data(config: Config, init_stream: torch.Generator) -> PointDataModule:
    """Draw the point set of a run.

    ``init_stream`` draws the initial weights later; with ``shared_rng=true`` the training points come first
    from the same stream.
    """
    with seeded_global_generators(config.data_seed, "global", "points"):
        draw, num_classes = build_choice(config.data, _split_streams(config, init_stream))
        return PointDataModule(
            config.data,
            draw,
            num_classes=num_classes,
            data_seed=config.data_seed,
            train_seed=config.train_seed,
            num_steps=config.num_steps,
            evaluation_steps=config.evaluation_steps,
        )


def _split_streams(config: Config, init_stream: torch.Generator) -> Callable[[str], torch.Generator]:
    def stream(split: str) -> torch.Generator:
        if split == "train" and config.shared_rng:
            return init_stream
        return make_generator(config.data_seed, "points", split)

    return stream
