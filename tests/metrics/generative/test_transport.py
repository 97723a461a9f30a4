import itertools
import math
import sys

import pytest
import torch
from scipy.stats import wasserstein_distance

from gaplab.metrics.generative.transport import exact_wasserstein2, sliced_wasserstein2


def normal(count, seed=0, dimension=2):
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))


def generator():
    return torch.Generator().manual_seed(0)


def test_exact_distance_equals_the_best_of_all_pairings():
    left, right = normal(6), normal(6, seed=1) * 2
    best = min(
        (left - right[list(order)]).square().sum().item() / 6 for order in itertools.permutations(range(6))
    )
    assert exact_wasserstein2(left, right) == pytest.approx(math.sqrt(best), rel=1e-6)


def test_exact_distance_equals_optimal_transport_package():
    ot = pytest.importorskip("ot")
    left, right = normal(80).double(), normal(80, seed=1).double() + 0.5
    weights = torch.full((80,), 1 / 80, dtype=torch.float64).numpy()
    cost = ot.emd2(weights, weights, ot.dist(left.numpy(), right.numpy()))
    assert exact_wasserstein2(left, right) == pytest.approx(math.sqrt(cost), rel=1e-9)


def test_sliced_distance_equals_optimal_transport_package():
    ot = pytest.importorskip("ot")
    left, right = normal(80).double(), normal(80, seed=1).double() + 0.5
    reference = ot.sliced_wasserstein_distance(left.numpy(), right.numpy(), n_projections=20_000, seed=0)
    ours = sliced_wasserstein2(left, right, num_directions=20_000, generator=generator())
    assert ours == pytest.approx(reference, rel=0.02)


def test_translation_has_a_closed_form():
    """A shift v costs ‖v‖ exactly; the mean of (v·θ)² over directions of the plane is ‖v‖²/2."""
    left = normal(200)
    right = left[torch.randperm(200, generator=generator())] + torch.tensor([3.0, 4.0])
    assert exact_wasserstein2(left, right) == pytest.approx(5, rel=1e-6)
    sliced = sliced_wasserstein2(left, right, num_directions=20_000, generator=generator())
    assert sliced == pytest.approx(5 / math.sqrt(2), rel=0.02)


def test_one_dimension_needs_no_slices():
    left, right = normal(50, dimension=1), normal(50, seed=1, dimension=1) + 10
    exact = exact_wasserstein2(left, right)
    assert sliced_wasserstein2(left, right, num_directions=1, generator=generator()) == pytest.approx(exact)
    assert exact >= wasserstein_distance(left[:, 0].numpy(), right[:, 0].numpy()) - 1e-6


def test_equal_sets_have_distance_zero():
    points = normal(30)
    assert exact_wasserstein2(points, points.flip(0)) == 0
    assert sliced_wasserstein2(points, points.flip(0), generator=generator()) == pytest.approx(0, abs=1e-7)


def test_missing_scipy_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"needs SciPy: pip install 'gaplab\[metrics\]'"):
        exact_wasserstein2(normal(3), normal(3))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"equal shape, got \[3, 2\] and \[4, 2\]"):
        exact_wasserstein2(normal(3), normal(4))
    with pytest.raises(ValueError, match="non-empty"):
        sliced_wasserstein2(normal(0), normal(0), generator=generator())
    with pytest.raises(ValueError, match="num_directions must be at least 1"):
        sliced_wasserstein2(normal(3), normal(3), num_directions=0, generator=generator())
