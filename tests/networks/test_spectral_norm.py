"""Weights whose largest singular value is 1."""

import pytest
import torch
from torch import nn

from gaplab.networks import MLP
from gaplab.networks.normalization import normalize_spectrally


def normalized(seed: int) -> MLP:
    draws = torch.Generator().manual_seed(seed)
    network = MLP(3, 1, [8, 8], gain=4.0, generator=draws)
    normalize_spectrally(network, draws)
    return network


def test_every_layer_is_divided_by_its_largest_singular_value() -> None:
    network = normalized(0)
    for _ in range(200):
        network(torch.zeros(1, 3))
    network.eval()
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        original = layer.parametrizations.weight.original  # type: ignore[union-attr, index]
        expected = original / torch.linalg.matrix_norm(original, 2)
        torch.testing.assert_close(layer.weight, expected, rtol=1e-4, atol=1e-6)


def test_the_start_follows_the_generator_and_leaves_the_global_stream() -> None:
    before = torch.random.get_rng_state()
    first, second, other = normalized(1), normalized(1), normalized(2)
    assert torch.equal(before, torch.random.get_rng_state())
    buffers = [list(network.buffers()) for network in (first, second, other)]
    assert all(torch.equal(a, b) for a, b in zip(buffers[0], buffers[1], strict=True))
    assert not torch.equal(buffers[0][0], buffers[2][0])


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="no linear or convolutional layer"):
        normalize_spectrally(nn.Identity(), torch.Generator())
