import math

import pytest
import torch
from scipy.stats import kstest, multivariate_normal
from sklearn.datasets import make_swiss_roll

from gaplab.data.mixtures import (
    GRID_SCALINGS,
    RING_SCALINGS,
    grid_centers,
    mixture_log_density,
    ring_centers,
    sample_grid,
    sample_ring,
    sample_swiss_roll,
    sample_two_arm_swiss_roll,
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


def test_grid_centers_are_those_of_pacgan():
    expected = {(float(x), float(y)) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(center) for center in grid_centers().tolist()} == expected
    assert grid_centers(side=1).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("sample", "centers", "std", "options"),
    [
        (sample_ring, ring_centers(8, 1.0), 0.01, RING_SCALINGS["pacgan"]),
        (sample_ring, ring_centers(8, 2.0) / 1.414, 0.02 / 1.414, RING_SCALINGS["wgan_gp"]),
        (sample_grid, grid_centers(5, 2.0), 0.05, GRID_SCALINGS["pacgan"]),
        (sample_grid, grid_centers(5, 2.0) / 2.828, 0.05 / 2.828, GRID_SCALINGS["wgan_gp"]),
    ],
)
def test_mixture_samples_follow_the_published_law(sample, centers, std, options):
    num_points = 20_000
    points, labels = sample(num_points, generator=generator(), **options)
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
    first, _ = sample_grid(50, generator=generator(3))
    torch.manual_seed(2)
    second, _ = sample_grid(50, generator=generator(3))
    other, _ = sample_grid(50, generator=generator(4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_log_density_equals_scipy_and_takes_a_standard_deviation():
    """PacGAN's logger passes the variance as the scale of a normal; off by 2·ln(std) at a centre."""
    centers, std = grid_centers(), 0.5
    points = torch.randn(40, 2, generator=generator()) * 3
    density = sum(multivariate_normal(c, std**2).pdf(points.numpy()) for c in centers.numpy()) / len(centers)
    ours = mixture_log_density(points.double(), centers.double(), std)
    assert torch.allclose(ours, torch.as_tensor(density).log(), atol=1e-9)

    at_center = mixture_log_density(torch.zeros(1, 2), torch.zeros(1, 2), 0.1).item()
    assert at_center == pytest.approx(-math.log(2 * math.pi * 0.1**2), abs=1e-5)


def test_swiss_roll_has_the_law_of_sklearn():
    points, labels = sample_swiss_roll(5000, generator=generator())
    reference = make_swiss_roll(5000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    assert labels.tolist() == [0] * 5000
    for column in (0, 1):
        assert kstest(points[:, column].numpy(), reference[:, column]).pvalue > 1e-3
    radii = points.norm(dim=1).numpy()
    assert kstest(radii, (reference**2).sum(axis=1) ** 0.5).pvalue > 1e-3


def test_two_arm_roll_mirrors_its_own_noisy_points():
    points, labels = sample_two_arm_swiss_roll(400, noise=1.0, generator=generator())
    assert torch.equal(points[200:], -points[:200])
    assert labels.tolist() == [0] * 200 + [1] * 200

    clean, _ = sample_two_arm_swiss_roll(2000, noise=0.0, generator=generator())
    arm = clean[:1000].double()
    angle = arm.norm(dim=1) / 1.5
    expected = 1.5 * angle[:, None] * torch.stack([-angle.cos(), angle.sin()], dim=1)
    assert torch.allclose(arm, expected, atol=1e-4)
    assert kstest(((angle / math.radians(600)) ** 2).numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: sample_ring(0, generator=g), "num_points must be above 0, got 0"),
        (lambda g: sample_ring(5, num_modes=0, generator=g), "num_modes must be above 0"),
        (lambda g: sample_ring(5, radius=-1.0, generator=g), "radius must be above 0"),
        (lambda g: sample_grid(5, std=-0.1, generator=g), "std must be 0 or more"),
        (lambda g: sample_swiss_roll(5, scale=0.0, generator=g), "scale must be above 0"),
        (lambda g: sample_two_arm_swiss_roll(5, generator=g), "num_points must be even"),
        (lambda g: mixture_log_density(torch.zeros(1, 2), torch.zeros(1, 2), 0.0), "std must be above 0"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(generator())
