"""The convolutional network: shapes, initial weights from the generator, and what norms do."""

import pytest
import torch
from torch import nn

from gaplab.config.network import CNNConfig, MLPConfig, NetworkConfig, build_network
from gaplab.errors import ConfigError
from gaplab.networks import CNN, num_parameters
from gaplab.randomness import make_generator


def cnn(seed: int = 0, **settings: object) -> CNN:
    return CNN(1, 5, [4, 6], generator=make_generator(seed), **settings)  # type: ignore[arg-type]


def test_shapes_and_parameters() -> None:
    network = cnn()
    for size in (8, 7, 1):
        assert network(torch.rand(3, 1, size, size)).shape == (3, 5)
    assert num_parameters(network) == (9 + 1) * 4 + (9 * 4 + 1) * 6 + (6 + 1) * 5


def test_weights_are_those_of_torch_under_the_seed_of_the_generator() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.Linear(6, 5)]
    images = torch.rand(2, 1, 8, 8)
    x = images
    for layer in layers[:2]:
        x = layer(x).relu()
    expected = layers[2](x.mean((2, 3)))
    assert torch.equal(cnn(3)(images), expected)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_norms_take_out_scale_and_offset(norm: str) -> None:
    network = cnn(norm=norm, initialization="he_normal").train()
    images = torch.rand(6, 1, 8, 8, generator=make_generator(1))
    # zero padding sees an offset at the border, so only the scale is free
    assert torch.allclose(network(images), network(3 * images), atol=1e-3)


def test_builders_get_what_their_signature_names() -> None:
    shape = (1, 8, 8)
    offered = {"in_features": 64, "out_features": 5, "example_shape": shape, "generator": make_generator(0)}

    class Asking(NetworkConfig):
        def build(self, example_shape: object, generator: object) -> object:  # type: ignore[override]
            return example_shape, generator

    class Positional(NetworkConfig):
        def build(self, d: int, k: int, g: object) -> object:  # type: ignore[override]
            return d, k, g

    class Silent(NetworkConfig):
        def build(self) -> object:  # type: ignore[override]
            return "nothing"

    assert build_network(Asking(), **offered) == (shape, offered["generator"])
    assert build_network(Positional(), **offered) == (64, 5, offered["generator"])
    assert build_network(Silent(), **offered) == "nothing"
    images = torch.rand(3, *shape)
    network = build_network(MLPConfig(), **offered)
    assert network(images).shape == (3, 5)
    assert network(images[0]).shape == (5,)
    with pytest.raises(ConfigError, match=r"network=cnn: expected images .*\(64,\)"):
        build_network(CNNConfig(), **offered | {"example_shape": (64,)})
