import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from gaplab.data.spirals import arm_residual, nearest_arm, sample_notebook_spirals, sample_spirals


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def notebook_loop(num_per_class: int = 1000, num_classes: int = 3) -> tuple[Tensor, Tensor]:
    """The course notebook's recipe, point by point, from the global stream."""
    torch.manual_seed(12345)
    points = torch.zeros(num_per_class * num_classes, 2)
    labels = torch.zeros(num_per_class * num_classes, dtype=torch.long)
    row = 0
    for c in range(num_classes):
        t = torch.linspace(0, 1, num_per_class)
        clean = torch.linspace(
            2 * math.pi / num_classes * c, 2 * math.pi / num_classes * (2 + c), num_per_class
        )
        angle = clean + torch.randn(num_per_class) * 0.2
        for i in range(num_per_class):
            points[row] = t[i] * torch.FloatTensor((math.sin(angle[i]), math.cos(angle[i])))
            labels[row] = c
            row += 1
    return points, labels


@pytest.fixture(scope="module")
def notebook() -> tuple[Tensor, Tensor]:
    return sample_notebook_spirals(generator=generator(12345))


def test_notebook_sample_equals_the_loop_bit_for_bit(notebook: tuple[Tensor, Tensor]) -> None:
    with torch.random.fork_rng():
        points, labels = notebook_loop()
        after = torch.rand(5)
    assert torch.equal(notebook[0], points)
    assert torch.equal(notebook[1], labels)
    stream = generator(12345)
    sample_notebook_spirals(generator=stream)
    assert torch.equal(torch.rand(5, generator=stream), after)  # the networks continue the same stream


def test_notebook_origin_carries_all_three_labels(notebook: tuple[Tensor, Tensor]) -> None:
    points, labels = notebook
    at_origin = (points == 0).all(dim=1)
    assert at_origin.nonzero().flatten().tolist() == [0, 1000, 2000]
    assert labels[at_origin].tolist() == [0, 1, 2]
    assert len(points.unique(dim=0)) == 2998  # only the origin repeats: at most 2998 of 3000 can be right


def test_nearest_arm_reaches_the_ceiling_of_the_notebook_sample(notebook: tuple[Tensor, Tensor]) -> None:
    points, labels = notebook
    assert int((nearest_arm(points, 3) == labels).sum()) == 2998


def test_leave_one_out_neighbour_accuracy_of_the_notebook_sample(notebook: tuple[Tensor, Tensor]) -> None:
    points, labels = notebook[0].double().numpy(), notebook[1].numpy()
    distance = cdist(points, points)
    np.fill_diagonal(distance, np.inf)
    correct = (
        labels[distance.argmin(axis=1)] == labels
    )  # ties, which only the origin has, go to the first row
    assert correct.mean() == pytest.approx(0.99833, abs=5e-6)
    assert np.flatnonzero(~correct).tolist() == [0, 1000, 1001, 2000, 2001]


def test_grid_sampling_is_the_notebook_law(notebook: tuple[Tensor, Tensor]) -> None:
    clean = sample_spirals(3000, noise=0.0, sampling="grid", generator=generator())[0]
    exact = sample_notebook_spirals(noise=0.0, generator=generator())[0]
    torch.testing.assert_close(clean, exact, atol=2e-6, rtol=0)
    torch.testing.assert_close(clean.norm(dim=1), notebook[0].norm(dim=1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("sampling", ["grid", "iid"])
@pytest.mark.parametrize(("num_points", "num_arms"), [(10, 3), (7, 5), (4, 4), (9, 1)])
def test_arms_differ_by_at_most_one_point(sampling: str, num_points: int, num_arms: int) -> None:
    points, labels = sample_spirals(num_points, num_arms=num_arms, sampling=sampling, generator=generator())
    counts = labels.bincount()
    assert points.shape == (num_points, 2)
    assert points.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert len(counts) == num_arms
    assert counts.sum() == num_points
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("num_arms", "turns"), [(3, None), (5, 1.25), (2, 3.0)])
def test_residual_recovers_the_noise(num_arms: int, turns: float | None) -> None:
    points, labels = sample_spirals(
        60_000, num_arms=num_arms, noise=0.1, turns=turns, min_radius=0.1, generator=generator(1)
    )
    residual = arm_residual(points, num_arms, labels, turns)
    assert float(residual.mean()) == pytest.approx(0, abs=4 * 0.1 / 60_000**0.5)
    assert float(residual.std()) == pytest.approx(0.1, rel=0.02)
    torch.testing.assert_close(nearest_arm(points, num_arms, turns), labels)


def test_nearest_arm_agrees_with_a_search_over_all_arms() -> None:
    points = torch.rand(500, 2, generator=generator(2)) * 2 - 1
    residual = torch.stack([arm_residual(points, 5, torch.full((500,), c)).abs() for c in range(5)])
    torch.testing.assert_close(nearest_arm(points, 5), residual.argmin(dim=0))
    torch.testing.assert_close(arm_residual(points, 5).abs(), residual.amin(dim=0))


def test_iid_radius_is_uniform_between_min_radius_and_one() -> None:
    radius = sample_spirals(30_000, min_radius=0.4, generator=generator(3))[0].norm(dim=1)
    assert radius.min() >= 0.4 - 1e-6
    assert radius.max() <= 1 + 1e-6
    quantiles = torch.quantile(radius, torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([0.55, 0.7, 0.85]), atol=0.01, rtol=0)


def test_same_generator_state_gives_the_same_points_and_leaves_the_global_stream_alone() -> None:
    before = torch.random.get_rng_state()
    first = sample_spirals(100, generator=generator(4))[0]
    assert torch.equal(first, sample_spirals(100, generator=generator(4))[0])
    assert not torch.equal(first, sample_spirals(100, generator=generator(5))[0])
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_points": 2}, "num_points must be at least num_arms"),
        ({"num_arms": 0}, "num_arms must be at least 1"),
        ({"noise": -0.1}, "noise must not be negative"),
        ({"sampling": "random"}, "sampling must be 'grid' or 'iid', but got 'random'"),
        ({"min_radius": 1.0}, "min_radius must lie in"),
    ],
)
def test_mistakes_name_the_argument(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_spirals(**{"num_points": 30, "generator": generator(), **arguments})
