"""Capacities in the place of N, for a network whose norms and margin are known by hand."""

import math

import pytest
import torch
from torch import nn

from gaplab.config.network import MLPConfig
from gaplab.metrics.scales import gap_scales
from gaplab.metrics.vc import relu_vc_dimension


def diagonal_network() -> nn.Sequential:
    """Logits (6·relu(x), 4·relu(y)) from W_1 = diag(2, 1) and W_2 = diag(3, 4)."""
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network[0].weight.copy_(torch.diag(torch.tensor([2.0, 1.0])))
        network[2].weight.copy_(torch.diag(torch.tensor([3.0, 4.0])))
    return network


def zeros_like(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}


POINTS = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(10, 1)
LABELS = torch.tensor([0, 1]).repeat(10)


def test_every_scale_by_hand() -> None:
    network = diagonal_network()
    table = gap_scales(network, zeros_like(network), POINTS, LABELS, effective_dimension=5.0)
    m, margin, frobenius = 20, 4.0, math.sqrt(5) * 5
    rows = (2 + 1) / 2, (3 + 4) / 4  # sums of the rows' norms, over the spectral norms 2 and 4
    spectral = 2 * 4 * (rows[0] ** (2 / 3) + rows[1] ** (2 / 3)) ** 1.5
    stable_ranks = 5 / 4 + 25 / 16
    complexity = 1 * 4 * 2 * math.log(4) * (2 * 4) ** 2 * stable_ranks
    assert table == pytest.approx(
        {
            "sqrt_effective_dimension_over_points": math.sqrt(5 / m),
            "sqrt_vc_dimension_over_points": math.sqrt(round(relu_vc_dimension([2, 2, 1])) / m),
            "golowich": (math.sqrt(4 * math.log(2)) + 1) * frobenius / math.sqrt(m),
            "spectral_margin": math.sqrt(m) * spectral * math.log(2) / (margin * m)
            + math.sqrt(math.log(20) / m),
            "pac_bayes_spectral": math.sqrt((complexity + math.log(2 * m / 0.05)) / (margin**2 * m)),
        },
        rel=1e-5,
    )


def test_what_is_not_defined_is_left_out() -> None:
    tanh = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    assert "sqrt_vc_dimension_over_points" not in gap_scales(tanh, zeros_like(tanh), POINTS, LABELS)
    network = diagonal_network()
    wrong = gap_scales(network, zeros_like(network), POINTS, 1 - LABELS)
    assert wrong.keys() == {"sqrt_vc_dimension_over_points", "golowich"}, "no margin, no Hessian"


def test_no_size_takes_the_norms_of_points_for_those_of_their_waves() -> None:
    network = MLPConfig(widths=[4], fourier_features=3).build(2, 2, torch.Generator().manual_seed(0), (2,))
    scales = gap_scales(network, zeros_like(network), POINTS, LABELS, effective_dimension=5)
    assert scales == {"sqrt_effective_dimension_over_points": math.sqrt(5 / 20)}
