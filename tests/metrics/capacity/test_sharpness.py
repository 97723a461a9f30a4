import math

import pytest
import torch
from scipy import stats
from torch import nn

from gaplab.metrics.capacity.sharpness import (
    draw_noise,
    magnitude_aware_pac_bayes_sharpness,
    pac_bayes_sharpness,
    tolerated_noise,
)
from gaplab.metrics.capacity.weights import functional_forward


def one_weight_apart(weight: float) -> nn.Linear:
    """Two classes; class 1 wins on positive inputs while its weight exceeds that of class 0, which is 0."""
    network = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.0], [weight]]))
    return network


def tolerance(network: nn.Module, noise: dict[str, torch.Tensor], *, magnitude_aware: bool = False) -> float:
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    points, labels = torch.ones(5, 1), torch.ones(5, dtype=torch.int64)
    sigma = tolerated_noise(
        functional_forward(network), parameters, points, labels, noise, magnitude_aware=magnitude_aware
    )
    return sigma.item()


def test_noise_level_is_a_standard_deviation() -> None:
    # The accuracy is P(w + σ√2·ε > 0) = Φ(w/(σ√2)), which is .9 at σ = w/(√2·Φ⁻¹(.9)); σ² would be .43.
    network = one_weight_apart(0.5)
    noise = draw_noise(dict(network.named_parameters()), 100_000, torch.Generator().manual_seed(0))
    expected = 0.5 / (math.sqrt(2) * stats.norm.ppf(0.9))
    assert tolerance(network, noise) == pytest.approx(expected, rel=0.01)


def test_magnitude_aware_noise_does_not_depend_on_the_scale_of_the_weights() -> None:
    # Only the weight w moves (the other is 0, up to ε): accuracy Φ(1/σ').
    expected = 1 / stats.norm.ppf(0.9)
    for weight in (0.5, 50.0):
        network = one_weight_apart(weight)
        noise = draw_noise(dict(network.named_parameters()), 100_000, torch.Generator().manual_seed(1))
        assert tolerance(network, noise, magnitude_aware=True) == pytest.approx(expected, rel=0.01)


def test_bisection_finds_the_jump_of_a_single_draw() -> None:
    # With noise (0, −1) the rule breaks at exactly σ = w.
    noise = {"weight": torch.tensor([[[0.0], [-1.0]]])}
    assert tolerance(one_weight_apart(0.3), noise) == pytest.approx(0.3, abs=2 / 2**16 + 1e-6)
    assert tolerance(one_weight_apart(3.0), noise) == pytest.approx(2.0, abs=1e-4)


def test_the_drop_is_signed() -> None:
    # A network that is always wrong can only improve under noise: nothing to lose at any level.
    network = one_weight_apart(-0.3)
    noise = draw_noise(dict(network.named_parameters()), 100, torch.Generator().manual_seed(2))
    assert tolerance(network, noise) == pytest.approx(2.0, abs=1e-4)


def test_noise_is_reproducible_and_shaped_like_the_parameters() -> None:
    parameters = dict(nn.Linear(2, 3).named_parameters())
    first, second = (draw_noise(parameters, 4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first["weight"].shape == (4, 3, 2)
    assert first["bias"].shape == (4, 3)
    assert torch.equal(first["weight"], second["weight"])


def test_pac_bayes_sharpness_by_hand() -> None:
    value = pac_bayes_sharpness(torch.tensor(3.0), torch.tensor(0.5), 200)
    assert value.item() == pytest.approx(3.0 + math.log(400) + 10)


def test_magnitude_aware_sharpness_by_hand() -> None:
    displacement, sigma = torch.tensor([1.0, -2.0]), torch.tensor(0.5)
    value = magnitude_aware_pac_bayes_sharpness(torch.tensor(8.0), displacement, sigma, 200)
    numerator = 1e-6 + 1.25 * 8 / 2
    logs = math.log(numerator / (1e-6 + 0.25)) + math.log(numerator / (1e-6 + 1.0))
    assert value.item() == pytest.approx(logs / 4 + math.log(400) + 10)
