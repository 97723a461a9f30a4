import math

import pytest
import torch

from gaplab.config.network import MLPConfig
from gaplab.networks.fourier_features import FourierFeatures


def features(num_features=6, frequencies=(1.0, 32.0)):
    return FourierFeatures(2, num_features, frequencies, torch.Generator().manual_seed(0))


def test_waves_by_hand_beside_the_point():
    block = features()
    point = torch.tensor([[0.3, -1.2]])
    out = block(point)[0]
    assert out[:2].tolist() == point[0].tolist()
    for number in range(6):
        wave = float(block.waves[number] @ point[0] + block.phases[number])
        assert float(out[2 + number]) == pytest.approx(math.sqrt(2) * math.sin(wave), abs=1e-5)
    assert block.waves.norm(dim=1).tolist() == pytest.approx([1, 2, 4, 8, 16, 32], rel=1e-5)


def test_the_amplitude_scales_the_waves_and_nothing_is_trained():
    block, points = features(2000), torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    assert float(block(points)[:, 2:].square().mean()) == pytest.approx(1, abs=0.05)
    block.amplitude.fill_(0.5)
    assert float(block(points)[:, 2:].square().mean()) == pytest.approx(0.25, abs=0.02)
    block.amplitude.fill_(0)
    assert float(block(points)[:, 2:].abs().max()) == 0
    assert list(block.parameters()) == []
    assert set(block.state_dict()) == {"waves", "phases", "amplitude"}


def test_a_perceptron_sees_the_waves_of_its_input_whatever_its_shape():
    config = MLPConfig(widths=[5], fourier_features=7, fourier_frequencies=[1.0, 8.0])
    network = config.build(6, 3, torch.Generator().manual_seed(0), example_shape=(1, 2, 3))
    images = torch.randn(4, 1, 2, 3, generator=torch.Generator().manual_seed(1))
    seen = FourierFeatures(6, 7, (1.0, 8.0), torch.Generator().manual_seed(1))
    seen.load_state_dict(network[1].state_dict())
    hidden = torch.relu(network[2].hidden[0].linear(seen(images.flatten(1))))
    torch.testing.assert_close(network(images), network[2].output(hidden))
    assert network[1].waves.norm(dim=1).tolist() == pytest.approx([8 ** (k / 6) for k in range(7)], rel=1e-5)
