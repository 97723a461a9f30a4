import math

import pytest
import torch
from scipy.stats import kstest
from sklearn.datasets import make_swiss_roll

from gaplab.config.compose import compose_config
from gaplab.data.mixtures import (
    grid_centers,
    ring_centers,
    sample_mixture,
    sample_swiss_roll,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_ring_has_as_many_distinct_modes_as_asked_for():
    """poolio/unrolled_gan and GDPP take linspace(0, 2π, 8), whose ends coincide: 7 modes are left."""
    angles = torch.linspace(0, 2 * math.pi, 8)
    published = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert torch.pdist(published).min() < 1e-6

    centers = ring_centers(8)
    assert torch.pdist(centers).min().item() == pytest.approx(2 * math.sin(math.pi / 8), abs=1e-6)
    assert torch.allclose(centers.norm(dim=1), torch.ones(8))
    assert torch.allclose(
        centers[[0, 2, 4, 6]], torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]]), atol=1e-7
    )


@pytest.mark.parametrize(
    ("words", "centers", "std"),
    [
        (["data=ring"], ring_centers(8, 1.0), 0.01),
        (["data=ring", "data.scaling=wgan_gp"], ring_centers(8, 2.0) / 1.414, 0.02 / 1.414),
        (["data=grid"], grid_centers(5, 2.0), 0.05),
        (["data=grid", "data.scaling=wgan_gp"], grid_centers(5, 2.0) / 2.828, 0.05 / 2.828),
    ],
)
def test_laws_have_the_published_sizes(words, centers, std):
    law = compose_config([*words, "task=gan"]).config.data.build_law()
    assert torch.allclose(law[0], centers, atol=1e-6)
    assert law[1] == pytest.approx(std)


def test_grid_centers_are_those_of_pacgan():
    expected = {(float(x), float(y)) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(center) for center in grid_centers().tolist()} == expected
    assert grid_centers(side=1).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("centers", "std"),
    [
        (ring_centers(8, 1.0), 0.01),
        (ring_centers(8, 2.0) / 1.414, 0.02 / 1.414),
        (grid_centers(5, 2.0), 0.05),
        (grid_centers(5, 2.0) / 2.828, 0.05 / 2.828),
    ],
)
def test_mixture_samples_follow_their_law(centers, std):
    num_points = 20_000
    points, labels = sample_mixture(num_points, centers, std, generator=generator())
    assert points.shape == (num_points, 2)
    assert points.dtype == torch.float32
    assert labels.dtype == torch.int64
    residuals = (points - centers[labels]) / std
    assert kstest(residuals.flatten().numpy(), "norm").pvalue > 1e-3
    share = 1 / len(centers)
    spread = math.sqrt(share * (1 - share) / num_points)
    shares = torch.bincount(labels, minlength=len(centers)) / num_points
    assert (shares - share).abs().max() < 5 * spread


def test_samples_depend_on_the_generator_alone():
    torch.manual_seed(1)
    first, _ = sample_mixture(50, grid_centers(), 0.05, generator=generator(3))
    torch.manual_seed(2)
    second, _ = sample_mixture(50, grid_centers(), 0.05, generator=generator(3))
    other, _ = sample_mixture(50, grid_centers(), 0.05, generator=generator(4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_swiss_roll_has_the_law_of_sklearn():
    points, labels = sample_swiss_roll(5000, generator=generator())
    reference = make_swiss_roll(5000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    assert labels.tolist() == [0] * 5000
    for column in (0, 1):
        assert kstest(points[:, column].numpy(), reference[:, column]).pvalue > 1e-3
    radii = points.norm(dim=1).numpy()
    assert kstest(radii, (reference**2).sum(axis=1) ** 0.5).pvalue > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: sample_mixture(0, grid_centers(), 0.1, generator=g), "num_points must be above 0, got 0"),
        (lambda g: ring_centers(0), "num_modes must be above 0"),
        (lambda g: ring_centers(5, -1.0), "radius must be above 0"),
        (lambda g: sample_mixture(5, grid_centers(), -0.1, generator=g), "std must be 0 or more"),
        (lambda g: sample_swiss_roll(5, scale=0.0, generator=g), "scale must be above 0"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(generator())
