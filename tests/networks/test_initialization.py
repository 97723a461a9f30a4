import math

import pytest
import torch
from torch import nn

from gaplab.networks.initialization import INITIALIZATIONS, empty_linear, initialize

FAN_IN, FAN_OUT = 300, 200
VARIANCES = {
    "default": 1 / (3 * FAN_IN),
    "xavier_uniform": 2 / (FAN_IN + FAN_OUT),
    "xavier_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "orthogonal": 1 / FAN_IN,  # rows of unit length
    "small_normal": 1e-4,
    "zeros": 0.0,
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def initialized(name: str, gain: float = 1.0) -> nn.Linear:
    linear = empty_linear(FAN_IN, FAN_OUT)
    initialize(linear, name, gain=gain, generator=generator())
    return linear


def test_default_equals_torch_bit_for_bit() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        expected = nn.Sequential(nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 3))
    network = nn.Sequential(empty_linear(2, 100), nn.ReLU(), empty_linear(100, 3))
    initialize(network, "default", generator=generator(7))
    for ours, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_weights_have_the_variance_of_the_scheme(name: str) -> None:
    linear = initialized(name)
    assert float(linear.weight.detach().square().mean()) == pytest.approx(VARIANCES[name], rel=0.03)
    biases = linear.bias.detach()
    assert float(biases.abs().max()) <= (1 / math.sqrt(FAN_IN) if name == "default" else 0.0)


@pytest.mark.parametrize("name", ["xavier_uniform", "he_uniform", "default"])
def test_uniform_schemes_are_bounded_by_root_three_deviations(name: str) -> None:
    largest = float(initialized(name).weight.detach().abs().max())
    bound = math.sqrt(3 * VARIANCES[name])
    assert 0.99 * bound < largest <= bound * (1 + 1e-6)


def test_orthogonal_rows_are_orthonormal_and_gain_scales_the_weights_only() -> None:
    weight = initialized("orthogonal").weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(FAN_OUT), atol=1e-5, rtol=0)
    plain, doubled = initialized("default"), initialized("default", gain=2.0)
    assert torch.equal(doubled.weight, 2 * plain.weight)
    assert torch.equal(doubled.bias, plain.bias)


def test_the_global_stream_is_untouched() -> None:
    before = torch.random.get_rng_state()
    initialized("orthogonal")
    assert torch.equal(before, torch.random.get_rng_state())


def test_unknown_name_lists_the_choices() -> None:
    with pytest.raises(
        ValueError, match=r"initialization must be one of default, .* Did you mean 'he_normal'\?"
    ):
        initialize(empty_linear(2, 2), "henormal", generator=generator())
