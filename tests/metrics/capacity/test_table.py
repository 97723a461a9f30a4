import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import stack_module_state

from gaplab.metrics.capacity.catalogue import HEALTH, MEASURES
from gaplab.metrics.capacity.sharpness import draw_noise, tolerated_noise
from gaplab.metrics.capacity.table import capacity_measures, stacked_capacity_measures
from gaplab.metrics.capacity.weights import functional_forward

QUICK = 20
"""Langevin steps: what they sample has a test of its own."""


def network_of(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3))


def own_labels(network: nn.Module, points: torch.Tensor) -> torch.Tensor:
    return network(points).argmax(-1)


def initial_of(network: nn.Module, seed: int = 99) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in network_of(seed).named_parameters()}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_every_measure_of_the_catalogue_is_computed() -> None:
    network, points = network_of(0), torch.rand(40, 2)
    table = capacity_measures(
        network,
        initial_of(network),
        points,
        own_labels(network, points),
        generator=generator(),
        num_langevin_steps=QUICK,
    )
    assert table.keys() == MEASURES.keys()
    assert all(math.isfinite(value) for value in table.values())
    assert sum(measure.source.startswith("Dziugaite") for measure in MEASURES.values()) == 24


def test_the_pages_explain_every_measure() -> None:
    docs = Path(__file__).parents[3] / "docs"
    pages = "".join((docs / name).read_text() for name in ("gap_and_bounds.md", "study/README.md"))
    assert [name for name in MEASURES if f"`{name}`" not in pages] == []
    quick = [row for row in MEASURES.values() if row.family not in ("curvature", "singular", HEALTH)]
    assert f"takes {len(quick)} numbers off the last weights" in pages


def test_curvature_is_left_out_of_large_networks() -> None:
    network, points = network_of(0), torch.rand(40, 2)
    labels = own_labels(network, points)
    table = capacity_measures(
        network,
        initial_of(network),
        points,
        labels,
        generator=generator(),
        max_hessian_parameters=38,
        num_langevin_steps=QUICK,
    )
    assert MEASURES.keys() - table.keys() == {n for n, row in MEASURES.items() if row.family == "curvature"}
    with_products = capacity_measures(
        network,
        initial_of(network),
        points,
        labels,
        generator=generator(),
        max_hessian_parameters=38,
        num_hessian_products=10,
        num_langevin_steps=0,
    )
    exact = capacity_measures(
        network, initial_of(network), points, labels, generator=generator(), num_langevin_steps=0
    )
    assert with_products["hessian_top_eigenvalue"] == pytest.approx(exact["hessian_top_eigenvalue"], rel=1e-5)
    assert exact.keys() - with_products.keys() == {"effective_dimension", "takeuchi_trace"}


def test_measures_of_a_diagonal_network_by_hand() -> None:
    # Logits (2·3·relu(x), 1·4·relu(y)) from W_1 = diag(2, 1), W_2 = diag(3, 4), zero biases.
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network[0].weight.copy_(torch.diag(torch.tensor([2.0, 1.0])))
        network[2].weight.copy_(torch.diag(torch.tensor([3.0, 4.0])))
    initial = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    initial["0.weight"] = torch.diag(torch.tensor([2.0, 0.0]))
    m = 20
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(10, 1)
    labels = torch.tensor([0, 1]).repeat(10)
    table = capacity_measures(
        network, initial, points, labels, generator=generator(), num_langevin_steps=QUICK
    )

    squared_margin = 16  # margins are 6 and 4
    log_spec, log_fro = math.log(4 * 16), math.log(5 * 25)
    plain = {
        "params": 8,
        "inverse_margin": 1 / squared_margin,
        "param_norm": 5 + 25,
        "fro_dist": 1 + 25,
        "dist_spec_init": 1 + 16,
        "fro_over_spec": 5 / 4 + 25 / 16,
        "path_norm": 4 * 9 + 1 * 16,
        "path_norm_over_margin": 52 / squared_margin,
    }
    logarithmic = {
        "log_prod_of_spec": log_spec,
        "log_prod_of_spec_over_margin": log_spec - math.log(16),
        "log_sum_of_spec": math.log(2) + log_spec / 2,
        "log_sum_of_spec_over_margin": math.log(2) + (log_spec - math.log(16)) / 2,
        "log_prod_of_fro": log_fro,
        "log_prod_of_fro_over_margin": log_fro - math.log(16),
        "log_sum_of_fro": math.log(2) + log_fro / 2,
        "log_sum_of_fro_over_margin": math.log(2) + (log_fro - math.log(16)) / 2,
        "log_spec_init_main": log_spec - math.log(16) + math.log(1 / 4 + 25 / 16),
        "log_spec_orig_main": log_spec - math.log(16) + math.log(5 / 4 + 25 / 16),
    }
    for name, value in plain.items():
        assert table[name] == pytest.approx(math.sqrt(value / m), rel=1e-5), name
    for name, value in logarithmic.items():
        assert table[name] == pytest.approx((value - math.log(m)) / 2, rel=1e-5), name

    # The sharpness measures follow from the noise levels, which have their own tests.
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    noise = draw_noise(parameters, 10, generator())
    sigma, mag_sigma = (
        tolerated_noise(
            functional_forward(network), parameters, points, labels, noise, magnitude_aware=aware
        ).item()
        for aware in (False, True)
    )
    moves = [0.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 4.0]

    def magnitude_aware(squared_norm: float) -> float:
        top = 1e-6 + (mag_sigma**2 + 1) * squared_norm / 8
        return sum(math.log(top / (1e-6 + mag_sigma**2 * move**2)) for move in moves) / 4

    sharp = {
        "pacbayes_init": 26 / (4 * sigma**2) + math.log(m / sigma) + 10,
        "pacbayes_orig": 30 / (4 * sigma**2) + math.log(m / sigma) + 10,
        "pacbayes_flatness": 1 / sigma**2,
        "pacbayes_mag_init": magnitude_aware(26) + math.log(m / mag_sigma) + 10,
        "pacbayes_mag_orig": magnitude_aware(30) + math.log(m / mag_sigma) + 10,
        "pacbayes_mag_flatness": 1 / mag_sigma**2,
    }
    for name, value in sharp.items():
        assert table[name] == pytest.approx(math.sqrt(value / m), rel=1e-4), name


def test_a_network_without_a_margin_has_infinite_margin_measures() -> None:
    network, points = network_of(0), torch.rand(40, 2)
    wrong = (own_labels(network, points) + 1) % 3
    table = capacity_measures(
        network, initial_of(network), points, wrong, generator=generator(), num_langevin_steps=QUICK
    )
    assert {name for name, value in table.items() if value == math.inf} == {
        name for name, row in MEASURES.items() if "γ" in row.formula
    }


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_stacked_networks_get_the_measures_of_the_loop(chunk_size: int | None) -> None:
    networks = [network_of(seed) for seed in range(3)]
    points = torch.rand(3, 40, 2, generator=generator())
    labels = torch.stack([own_labels(net, x) for net, x in zip(networks, points, strict=True)])
    labels[:, :3] = (labels[:, :3] + 1) % 3
    initial = [initial_of(net, seed=10 + k) for k, net in enumerate(networks)]
    stacked = {name: value.detach() for name, value in stack_module_state(networks)[0].items()}
    stacked_initial = {name: torch.stack([each[name] for each in initial]) for name in initial[0]}
    together = stacked_capacity_measures(
        networks[0], stacked, stacked_initial, points, labels, generator=generator(), chunk_size=chunk_size
    )
    for k, network in enumerate(networks):
        alone = capacity_measures(
            network,
            initial[k],
            points[k],
            labels[k],
            generator=generator(),
            max_hessian_parameters=0,
            num_langevin_steps=0,
        )
        assert together.keys() == alone.keys()
        for name, value in alone.items():
            assert together[name][k].item() == pytest.approx(value, rel=1e-4), name
