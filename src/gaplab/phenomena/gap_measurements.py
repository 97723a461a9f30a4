"""What the page on the gap measures: one trained network with every bound on its error."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gaplab.losses.classification import cross_entropy
from gaplab.metrics.bounds import hoeffding_bound
from gaplab.metrics.capacity.curvature import effective_dimension, flatten_parameters, hessian
from gaplab.metrics.capacity.weights import functional_forward
from gaplab.metrics.certificates import counting_bounds, pac_bayes_certificate
from gaplab.metrics.rademacher import rademacher_bound
from gaplab.metrics.vc import relu_vc_bound
from gaplab.phenomena.training import Networks, build_networks, draw_spirals
from gaplab.randomness import make_generator

WIDTH, POINTS_FOR_WIDTHS, NUM_TEST = 50, 300, 10_000
ALPHA = 1e-3
"""Prior precision of the effective dimension, in units of the mean loss."""
LAW: dict[str, Any] = {"num_arms": 2, "noise": 0.5}


class Result(NamedTuple):
    """One seed at one number of points; errors are shares of wrong answers."""

    train: float
    test: float
    hessian_dimension: float
    bounds: dict[str, float]
    """Upper bounds on the error by name."""

    @property
    def gap(self) -> float:
        return self.test - self.train


def train_networks(
    num_points: int, width: int, seeds: Sequence[int], num_steps: int, random_labels: bool = False
) -> tuple[Networks, Networks, list[float]]:
    """Initial and trained 2-H-2 networks, and the training accuracies."""
    networks = build_networks(seeds, [width], out_features=2)
    initial = copy.copy(networks)
    train = draw_spirals(seeds, num_points, random_labels=random_labels, **LAW)
    networks.train(*train, num_steps=num_steps)
    return initial, networks, networks.accuracy(*train)


def measure(num_points: int, seeds: Sequence[int], num_steps: int) -> list[Result]:
    """Train on the spiral and on random labels, then compute every bound for every seed."""
    initial, networks, accuracies = train_networks(num_points, WIDTH, seeds, num_steps)
    *_, random_accuracies = train_networks(num_points, WIDTH, seeds, num_steps, random_labels=True)
    points, labels = draw_spirals(seeds, num_points, **LAW)
    test_accuracies = networks.accuracy(*draw_spirals(seeds, NUM_TEST, "test", **LAW))
    results = []
    for k, seed in enumerate(seeds):
        network = copy.deepcopy(networks.template)
        network.load_state_dict({name: value[k] for name, value in networks.parameters.items()})
        before = {name: value[k] for name, value in initial.parameters.items()}
        train, test = 1 - accuracies[k], 1 - test_accuracies[k]
        occam = counting_bounds(network, num_points, NUM_TEST)[1]
        certificate = pac_bayes_certificate(
            network,
            before,
            points[k],
            labels[k],
            generator=make_generator(seed, "pac_bayes"),
            num_draws=2_000,
        )
        bounds = {
            "hoeffding": test + hoeffding_bound(NUM_TEST).value,
            "pac_bayes": certificate.value,
            "finite_precision": train + occam.value,
            "vc": train + relu_vc_bound([2, WIDTH, 1], num_points).value,
            "rademacher": train + rademacher_bound(random_accuracies[k], num_points).value,
        }
        results.append(Result(train, test, hessian_dimension(network, points[k], labels[k]), bounds))
    return results


def hessian_dimension(network: nn.Module, points: Tensor, labels: Tensor) -> float:
    """Σ λ/(λ + α) over the eigenvalues of the exact Hessian of the training loss."""
    forward = functional_forward(network)
    vector, unflatten = flatten_parameters({name: p.detach() for name, p in network.named_parameters()})
    matrix = hessian(lambda v: cross_entropy(forward(unflatten(v), points), labels).mean(), vector)
    return float(effective_dimension(torch.linalg.eigvalsh(matrix.double()), ALPHA))


def measure_width(width: int, seeds: Sequence[int], num_steps: int) -> list[float]:
    """The 0-1 gap at 300 points."""
    _, networks, accuracies = train_networks(POINTS_FOR_WIDTHS, width, seeds, num_steps)
    tests = networks.accuracy(*draw_spirals(seeds, NUM_TEST, "test", **LAW))
    return [train - test for train, test in zip(accuracies, tests, strict=True)]
