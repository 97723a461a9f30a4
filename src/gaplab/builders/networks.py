"""Networks from their configuration."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from gaplab.config import network as network_config
from gaplab.config.gan import DeepMLPConfig
from gaplab.config.registry import registered_builder
from gaplab.data.published_spirals import draw_cs231n_weights
from gaplab.networks import MLP, Perceptron


def build_network(
    config: network_config.NetworkConfig, in_features: int, out_features: int, generator: torch.Generator
) -> nn.Module:
    """Build any registered network with initial weights drawn from ``generator``."""
    build = registered_builder(config) or NETWORKS[type(config)]
    network: nn.Module = build(config, in_features, out_features, generator)
    return network


def build_mlp(
    config: network_config.MLPConfig, in_features: int, out_features: int, generator: torch.Generator
) -> MLP:
    def build(widths: list[int]) -> MLP:
        return MLP(
            in_features,
            out_features,
            widths,
            activation=config.activation,
            block=config.block,
            dropout=config.dropout,
            dense_skip=config.dense_skip,
            initialization=config.initialization,
            gain=config.gain,
            generator=generator,
        )

    for widths in config.rng_skip_widths:
        build(widths)
    return build(config.widths)


def build_linear(
    config: network_config.LinearConfig, in_features: int, out_features: int, generator: torch.Generator
) -> MLP:
    return MLP(
        in_features,
        out_features,
        [],
        initialization=config.initialization,
        gain=config.gain,
        generator=generator,
    )


def build_perceptron(
    config: network_config.PerceptronConfig, in_features: int, out_features: int, generator: torch.Generator
) -> Perceptron:
    return Perceptron(in_features, out_features)


def build_cs231n(
    config: network_config.CS231nConfig, in_features: int, out_features: int, generator: torch.Generator
) -> MLP:
    """Zero biases, and weights that continue NumPy's stream after the points were drawn from it."""
    widths = [] if config.hidden_units is None else [config.hidden_units]
    network = MLP(in_features, out_features, widths, initialization="zeros", generator=generator)
    random_state = np.random.RandomState(generator.initial_seed() % 2**32)
    random_state.randn(config.points_drawn_before)
    matrices = [p for p in network.parameters() if p.ndim == 2]
    weights = draw_cs231n_weights(random_state, [in_features, *widths, out_features])
    with torch.no_grad():
        for matrix, weight in zip(matrices, weights, strict=True):
            matrix.copy_(weight)
    return network


NETWORKS: dict[type, Callable[..., nn.Module]] = {
    network_config.MLPConfig: build_mlp,
    DeepMLPConfig: build_mlp,
    network_config.LinearConfig: build_linear,
    network_config.PerceptronConfig: build_perceptron,
    network_config.CS231nConfig: build_cs231n,
}
