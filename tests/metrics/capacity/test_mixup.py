"""The error on midpoints, against a loop over all pairs."""

from itertools import combinations

import pytest
import torch
from torch import nn

from gaplab.metrics.capacity.mixup import mixup_error
from gaplab.metrics.capacity.weights import functional_forward


def case() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    network = nn.Linear(2, 5, bias=False)
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    with torch.no_grad():
        network.weight.copy_(torch.cat([directions, torch.zeros(1, 2)]))
    labels = torch.tensor([2, 0, 1, 1, 0] * 5)  # no point of class 4
    labels[2] = 3  # and a single one of class 3
    points = 0.4 * directions[labels] + torch.randn(25, 2)
    return network, points, labels


def by_pairs(network: nn.Module, points: torch.Tensor, labels: torch.Tensor) -> float:
    shares = []
    for label in labels.unique().tolist():
        pairs = list(combinations(points[labels == label], 2))
        wrong = [int(network((x + y)[None] / 2).argmax()) != label for x, y in pairs]
        shares += [sum(wrong) / len(wrong)] if wrong else []
    return sum(shares) / len(shares)


def test_all_places_give_all_pairs_and_the_default_nearly() -> None:
    network, points, labels = case()
    forward, parameters = functional_forward(network), dict(network.named_parameters())
    expected = by_pairs(network, points, labels)
    assert 0.3 < expected < 0.9
    # Class sizes 10, 9 and 5 divide 90 places, and 9, 8 and 4 divide 72.
    first, second = torch.arange(90) / 90 + 1e-3, torch.arange(72) / 72 + 1e-3
    places = torch.cartesian_prod(first, second).double()
    assert mixup_error(forward, parameters, points, labels, places).item() == pytest.approx(expected)
    assert mixup_error(forward, parameters, points, labels).item() == pytest.approx(expected, abs=0.015)


def test_a_class_that_is_no_convex_set_has_mixtures_elsewhere() -> None:
    network = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    points = torch.tensor([[-3.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-2.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 1])
    found = mixup_error(functional_forward(network), dict(network.named_parameters()), points, labels)
    assert found.item() == 0.5  # (−3 + 1)/2 is on the other side; all of class 1 stays
