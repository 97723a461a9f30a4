import math

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from gaplab.metrics.generative.memorisation import (
    birthday_support_size,
    copying_ratio,
    nearest_distances,
    nearest_split_gap,
)


def normal(count, seed=0):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def test_nearest_distances_equal_sklearn():
    points, references = normal(50), normal(80, seed=1)
    expected = NearestNeighbors(n_neighbors=1).fit(references.numpy()).kneighbors(points.numpy())[0][:, 0]
    assert torch.allclose(nearest_distances(points, references).double(), torch.as_tensor(expected).double())


def test_copying_ratio_is_one_for_the_true_law_and_zero_for_a_copier():
    train, held_out, fresh = normal(1000), normal(1000, seed=1), normal(1000, seed=2)
    assert copying_ratio(fresh, train, held_out) == pytest.approx(1.0, abs=0.15)
    assert copying_ratio(train[:300], train, held_out) == 0.0
    assert copying_ratio(fresh + 20, train, held_out) > 10


def test_split_gap_is_half_for_a_copier_and_its_mirror_image():
    train, held_out, fresh = normal(500), normal(500, seed=1), normal(2000, seed=2)
    assert nearest_split_gap(train, train, held_out) == 0.5
    assert nearest_split_gap(held_out, train, held_out) == -0.5
    assert nearest_split_gap(fresh, train, held_out) == pytest.approx(0.0, abs=0.1)
    assert nearest_split_gap(torch.zeros(1, 2), train, train) == 0.0


def test_birthday_estimate_recovers_a_finite_support():
    generator = torch.Generator().manual_seed(0)
    support = normal(400)
    draws = support[torch.randint(400, (2000,), generator=generator)]
    # 1,999,000 pairs collide with chance 1/400: 4,998 ± 71 duplicates.
    assert birthday_support_size(draws, 1e-6) == pytest.approx(400, rel=0.06)
    assert birthday_support_size(torch.tensor([[0.0, 0], [0, 0], [1, 1]]), 0.0) == 3.0
    assert math.isinf(birthday_support_size(normal(10), 1e-9))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="points on both sides, got 3 and 0"):
        nearest_distances(normal(3), normal(0))
    with pytest.raises(ValueError, match="coincide with training points"):
        copying_ratio(normal(3), normal(9), normal(9))
    with pytest.raises(ValueError, match=r"equally many.*\[4, 2\] and \[5, 2\]"):
        nearest_split_gap(normal(3), normal(4), normal(5, 1))
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        birthday_support_size(normal(1), 0.1)
    with pytest.raises(ValueError, match="tolerance must be 0 or more"):
        birthday_support_size(normal(3), -0.1)
