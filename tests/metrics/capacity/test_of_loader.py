"""Capacity measures of any classifier and loader, against the ones of the package's own tables and by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gaplab import capacity_measures
from gaplab.metrics.capacity.table import capacity_measures as of_tensors


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def images(count: int = 30) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    return TensorDataset(
        torch.randn(count, 1, 4, 4, generator=generator), torch.randint(3, (count,), generator=generator)
    )


def test_a_convolutional_network_is_measured_in_eval_mode_and_left_alone() -> None:
    network, loader = convolutional(), DataLoader(images(), batch_size=7)
    initial = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1
    before = copy.deepcopy(network.state_dict())
    found = capacity_measures(network, initial, loader, max_hessian_parameters=0)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    # Both layers count: 2 filters of 9 weights and 3 units of 8 move by 0.1 each.
    assert found["fro_dist"] == pytest.approx((0.01 * (18 + 24) / 30) ** 0.5, rel=1e-5)
    norms = sum(float(w.square().sum()) for n, w in before.items() if n in ("0.weight", "5.weight"))
    assert found["param_norm"] == pytest.approx((norms / 30) ** 0.5, rel=1e-5)
    assert found == capacity_measures(network, initial.state_dict(), loader, max_hessian_parameters=0)


def test_it_is_what_tensors_give() -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 3))
    points, labels = images().tensors
    flat = TensorDataset(points.flatten(1), labels)
    initial = {name: value.detach().clone() * 0.5 for name, value in network.named_parameters()}
    wanted = of_tensors(
        network,
        initial,
        points.flatten(1),
        labels,
        generator=torch.Generator().manual_seed(0),
        num_langevin_steps=0,
    )
    assert capacity_measures(network, initial, DataLoader(flat, batch_size=9)) == pytest.approx(wanted)
    part = capacity_measures(network, initial, DataLoader(flat, batch_size=9), max_batches=1)
    assert part["params"] > wanted["params"]


def test_other_initial_weights_are_refused() -> None:
    network = nn.Linear(16, 3)
    with pytest.raises(ValueError, match=r"weight of shape \[3, 16\], but it has shape \[3, 2\]"):
        capacity_measures(network, nn.Linear(2, 3), [images().tensors])
    with pytest.raises(ValueError, match="no batch"):
        capacity_measures(network, network, [])
