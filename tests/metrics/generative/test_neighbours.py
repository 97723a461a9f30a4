import pytest
import torch

from gaplab.metrics.generative.neighbours import RealNeighbours, squared_radii
from perfect_sampler import coverage_ceiling


def normal(count, dimension=2, seed=0):
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))


def test_radii_of_a_line_of_points():
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    first, second = squared_radii(line, 1, 2)
    assert first.tolist() == [1, 1, 4, 16]
    assert second.tolist() == [9, 4, 9, 36]


def test_scores_worked_out_by_hand():
    """Real 0, 1, 3 (k = 1: radii 1, 1, 2); generated 0.5, 10 (radii 9.5, 9.5).

    0.5 lies in the balls of 0 and 1 (not of 3: distance 2.5), 10 in none. 0, 1 and 3 lie within 9.5 of 0.5.
    """
    real, fake = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [10.0]])
    scores = RealNeighbours(real, near=1, wide=1).scores(fake)
    assert (scores.precision, scores.recall) == (0.5, 1.0)
    assert scores.density == pytest.approx(2 / 2)
    assert scores.coverage == pytest.approx(2 / 3)


@pytest.mark.parametrize("dimension", [2, 16])
def test_all_four_equal_the_authors_package(dimension, capsys):
    prdc = pytest.importorskip("prdc")
    real, fake = normal(300, dimension), 1.3 * normal(250, dimension, seed=1) + 0.2
    three = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=3)
    five = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    scores = RealNeighbours(real).scores(fake)
    assert scores.precision == pytest.approx(three["precision"])
    assert scores.recall == pytest.approx(three["recall"])
    assert scores.density == pytest.approx(five["density"])
    assert scores.coverage == pytest.approx(five["coverage"])


def test_coverage_of_equal_laws_meets_its_closed_form():
    ceiling = coverage_ceiling(400, 400)
    assert ceiling == pytest.approx(1 - 2**-5, abs=1e-3)
    draws = normal(200 * 800).reshape(200, 2, 400, 2)
    values = [RealNeighbours(real).scores(fake) for real, fake in draws]
    _, _, density, coverage = torch.tensor(values).mean(dim=0).tolist()
    assert coverage == pytest.approx(ceiling, abs=0.004)
    assert density == pytest.approx(1.0, abs=0.02)


def test_dropped_modes_cost_recall_and_strange_points_cost_precision():
    real = torch.cat([normal(200), normal(200, seed=1) + 50])
    one_mode = normal(400, seed=2)
    scores = RealNeighbours(real).scores(one_mode)
    assert scores.precision > 0.9
    assert scores.recall < 0.55
    assert scores.coverage < 0.55
    assert RealNeighbours(one_mode).scores(real).precision < 0.55


def test_identical_points_far_from_the_origin_keep_distance_zero():
    points = normal(10) + 1e4
    scores = RealNeighbours(points).scores(points)
    assert (scores.precision, scores.recall) == (1.0, 1.0)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="3 neighbours need more than 3 points, got 3"):
        RealNeighbours(normal(3), wide=3).scores(normal(50))
    with pytest.raises(ValueError, match="num_neighbours must be at least 1, got 0"):
        squared_radii(normal(3), 0)
    with pytest.raises(ValueError, match=r"same dimension, got \[9, 2\] and \[9, 3\]"):
        RealNeighbours(normal(9)).scores(normal(9, 3))
    with pytest.raises(ValueError, match="more than 5 real and at least 1 generated"):
        coverage_ceiling(5, 10)
