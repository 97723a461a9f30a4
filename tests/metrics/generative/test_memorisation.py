import math

import pytest
import torch
from scipy.stats import mannwhitneyu, norm
from sklearn.neighbors import NearestNeighbors

from gaplab.metrics.generative.memorisation import (
    CopyingDistances,
    CopyingTest,
    nearest_sample,
)


def normal(count, seed=0):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def nearest_distances(points, references):
    """By scikit-learn."""
    search = NearestNeighbors(n_neighbors=1).fit(references.numpy())
    return torch.as_tensor(search.kneighbors(points.numpy())[0][:, 0]).double()


def test_both_scores_are_those_of_the_distances_to_the_nearest_points():
    train, held_out, fake = normal(60), normal(60, seed=1), 1.2 * normal(50, seed=2)
    to_train, to_held_out, usual = (
        nearest_distances(*pair) for pair in ((fake, train), (fake, held_out), (held_out, train))
    )
    scores = CopyingDistances(train, held_out).scores(fake)
    assert scores.ratio == pytest.approx(float(to_train.median() / usual.median()), rel=1e-5)
    assert scores.split_gap == pytest.approx(float((to_train < to_held_out).double().mean()) - 0.5)


def test_copying_ratio_is_one_for_the_true_law_and_zero_for_a_copier():
    train, held_out, fresh = normal(1000), normal(1000, seed=1), normal(1000, seed=2)
    distances = CopyingDistances(train, held_out)
    assert distances.scores(fresh).ratio == pytest.approx(1.0, abs=0.15)
    assert distances.scores(train[:300]).ratio == 0.0
    assert distances.scores(fresh + 20).ratio > 10


def test_split_gap_is_half_for_a_copier_and_its_mirror_image():
    train, held_out, fresh = normal(500), normal(500, seed=1), normal(2000, seed=2)
    distances = CopyingDistances(train, held_out)
    assert distances.scores(train).split_gap == 0.5
    assert distances.scores(held_out).split_gap == -0.5
    assert distances.scores(fresh).split_gap == pytest.approx(0.0, abs=0.1)
    middle = torch.zeros(1, 2)  # as far from a training point as from its mirror image
    assert CopyingDistances(train, -train).scores(middle).split_gap == 0.0


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="distances need generated points, got none"):
        CopyingDistances(normal(3), normal(3, 1)).scores(normal(0))
    with pytest.raises(ValueError, match="coincide with training points"):
        CopyingDistances(normal(9), normal(9)).scores(normal(3))
    with pytest.raises(ValueError, match=r"equally many.*\[4, 2\] and \[5, 2\]"):
        CopyingDistances(normal(4), normal(5, 1))


def test_samples_of_thin_pieces_are_nearer_to_each_other_than_true_ones():
    points = normal(2000)
    neighbours = NearestNeighbors(n_neighbors=2).fit(points.numpy()).kneighbors(points.numpy())[0]
    assert nearest_sample(points) == pytest.approx(
        float(torch.as_tensor(neighbours[:, 1]).median()), rel=1e-5
    )
    pieces = normal(50, seed=1).repeat(40, 1) + 0.05 * normal(2000, seed=2)  # as wide as the law
    assert nearest_sample(pieces) < 0.5 * nearest_sample(normal(2000, seed=3))


def c_t(fake, train, held_out, num_cells=10):
    draws = torch.Generator().manual_seed(0)
    return CopyingTest(train, held_out, num_cells=num_cells, generator=draws)(fake)


def test_the_copying_test_of_one_cell_is_the_score_of_mann_and_whitney():
    fake, train, held_out = 1.2 * normal(80), normal(60, seed=1), normal(90, seed=2)
    left, right = (nearest_distances(points, train).numpy() for points in (fake, held_out))
    p = mannwhitneyu(left, right, alternative="greater", method="asymptotic", use_continuity=False).pvalue
    assert c_t(fake, train, held_out, num_cells=1) == pytest.approx(norm.isf(p), rel=1e-6)


def test_the_copying_test_tells_copies_from_fresh_points_and_from_misses():
    train, held_out = normal(1000), normal(2000, seed=1)
    fresh = [c_t(normal(2000, seed=seed), train, held_out) for seed in range(2, 12)]
    assert max(map(abs, fresh)) < 2
    assert abs(sum(fresh)) / 10 < 1
    shaken = train.repeat(2, 1) + 0.01 * normal(2000, seed=3)
    assert c_t(shaken, train, held_out) < -5
    assert c_t(1.3 * normal(2000, seed=4), train, held_out) > 1
    half = torch.cat([shaken[:1000], normal(1000, seed=5)])
    assert c_t(shaken, train, held_out) < c_t(half, train, held_out) < -3


def test_the_copying_test_weighs_cells_by_their_held_out_points():
    """Two far clusters: copies in the one with a quarter of the held-out points count a quarter."""
    far = torch.tensor([100.0, 0.0])
    train = torch.cat([normal(400), normal(400, seed=1) + far])
    held_out = torch.cat([normal(300, seed=2), normal(900, seed=3) + far])
    fake = torch.cat([train[:400], normal(400, seed=4) + far])
    draws = next(
        draws
        for draws in map(torch.Generator().manual_seed, range(50))
        if len({int(i) // 400 for i in torch.randperm(800, generator=draws)[:2]}) == 2
        and draws.manual_seed(draws.initial_seed())
    )
    both = CopyingTest(train, held_out, num_cells=2, generator=draws)(fake)
    left = c_t(fake[:400], train[:400], held_out[:300], num_cells=1)
    right = c_t(fake[400:], train[400:], held_out[300:], num_cells=1)
    assert left < -20
    assert both == pytest.approx(left / 4 + right * 3 / 4, rel=1e-6)


def test_the_copying_test_is_undefined_without_a_cell_with_points():
    assert math.isnan(c_t(normal(9), normal(20), normal(20)))
