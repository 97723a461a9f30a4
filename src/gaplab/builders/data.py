"""Point sets from their configuration."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gaplab.config import data as data_config
from gaplab.config import mixtures
from gaplab.config.registry import registered_builder
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule, SampleFn
from gaplab.data.mixtures import (
    GRID_SCALINGS,
    RING_SCALINGS,
    grid_centers,
    ring_centers,
    sample_mixture,
    sample_swiss_roll,
)
from gaplab.data.published_spirals import (
    published_cs231n_spirals,
    sample_playground_spirals,
    sample_two_spirals,
)
from gaplab.data.spirals import sample_notebook_spirals, sample_spirals
from gaplab.randomness import make_generator, seeded_global_generators

Streams = Callable[[str], torch.Generator]
"""Gives each split its own random stream."""


def build_data(config: Config, init_stream: torch.Generator) -> PointDataModule:
    """Draw the point set of a run.

    ``init_stream`` draws the initial weights later; with ``shared_rng=true`` the training points come first
    from the same stream.
    """
    build = registered_builder(config.data) or DATA[type(config.data)]
    with seeded_global_generators(config.data_seed, "global", "points"):
        draw, num_classes = build(config.data, _split_streams(config, init_stream))
        return PointDataModule(
            config.data,
            draw,
            num_classes=num_classes,
            data_seed=config.data_seed,
            train_seed=config.train_seed,
            num_steps=config.num_steps,
            steps_between_evaluations=config.steps_between_evaluations,
        )


def _split_streams(config: Config, init_stream: torch.Generator) -> Callable[[str], torch.Generator]:
    def stream(split: str) -> torch.Generator:
        if split == "train" and config.shared_rng:
            return init_stream
        return make_generator(config.data_seed, "points", split)

    return stream


def build_spirals(config: data_config.SpiralsConfig, stream: Streams) -> tuple[SampleFn, int]:
    def draw(split: str, num_points: int) -> tuple[Tensor, Tensor]:
        return sample_spirals(
            num_points,
            num_arms=config.num_arms,
            noise=config.noise,
            turns=config.turns,
            sampling=config.sampling,
            min_radius=config.min_radius,
            generator=stream(split),
        )

    return draw, config.num_arms


def build_notebook_spirals(
    config: data_config.NotebookSpiralsConfig, stream: Streams
) -> tuple[SampleFn, int]:
    def draw(split: str, num_points: int) -> tuple[Tensor, Tensor]:
        return sample_notebook_spirals(
            num_points, num_arms=config.num_arms, noise=config.noise, generator=stream(split)
        )

    return draw, config.num_arms


def build_cs231n_spirals(config: data_config.CS231nSpiralsConfig, stream: Streams) -> tuple[SampleFn, int]:
    def draw(split: str, num_points: int) -> tuple[Tensor, Tensor]:
        random_state = np.random.RandomState(stream(split).initial_seed() % 2**32)
        return published_cs231n_spirals(
            random_state, num_points, num_arms=config.num_arms, noise=config.noise
        )

    return draw, config.num_arms


def build_playground_spirals(
    config: data_config.PlaygroundSpiralsConfig, stream: Streams
) -> tuple[SampleFn, int]:
    def draw(split: str, num_points: int) -> tuple[Tensor, Tensor]:
        return sample_playground_spirals(num_points, noise=config.noise, generator=stream(split))

    return draw, 2


def build_two_spirals(config: data_config.TwoSpiralsConfig, stream: Streams) -> tuple[SampleFn, int]:
    def draw(split: str, num_points: int) -> tuple[Tensor, Tensor]:
        return sample_two_spirals(num_points, between=split == "test", generator=stream(split))

    return draw, 2


def build_ring(config: mixtures.RingConfig, stream: Streams) -> tuple[SampleFn, int]:
    centers, std = ring_law(config)
    return _mixture(centers, std, stream), config.num_modes


def build_grid(config: mixtures.GridConfig, stream: Streams) -> tuple[SampleFn, int]:
    centers, std = grid_law(config)
    return _mixture(centers, std, stream), config.grid_side**2


def _mixture(centers: Tensor, std: float, stream: Streams) -> SampleFn:
    return lambda split, num_points: sample_mixture(num_points, centers, std, generator=stream(split))


def ring_law(config: mixtures.RingConfig) -> tuple[Tensor, float]:
    """Return the centres [K, 2] and the standard deviation of a ring's modes."""
    published = RING_SCALINGS[config.scaling]
    return ring_centers(config.num_modes, published["radius"]), config.std or published["std"]


def grid_law(config: mixtures.GridConfig) -> tuple[Tensor, float]:
    """Return the centres [K, 2] and the standard deviation of a grid's modes."""
    published = GRID_SCALINGS[config.scaling]
    return grid_centers(config.grid_side, published["spacing"]), config.std or published["std"]


def build_swiss_roll(config: mixtures.SwissRollConfig, stream: Streams) -> tuple[SampleFn, int]:
    def draw(split: str, num_points: int) -> tuple[Tensor, Tensor]:
        return sample_swiss_roll(num_points, noise=config.noise, generator=stream(split))

    return draw, 1


DATA: dict[type, Callable[..., tuple[SampleFn, int]]] = {
    data_config.SpiralsConfig: build_spirals,
    data_config.NotebookSpiralsConfig: build_notebook_spirals,
    data_config.CS231nSpiralsConfig: build_cs231n_spirals,
    data_config.PlaygroundSpiralsConfig: build_playground_spirals,
    data_config.TwoSpiralsConfig: build_two_spirals,
    mixtures.RingConfig: build_ring,
    mixtures.GridConfig: build_grid,
    mixtures.SwissRollConfig: build_swiss_roll,
}
