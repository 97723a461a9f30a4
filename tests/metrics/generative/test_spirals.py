import math

import pytest
import torch
from scipy.stats import kstest

from gaplab.metrics.generative.spirals import (
    arm_kl,
    arm_residuals,
    polar_coordinates,
    radius_distance,
)


def spiral(count, num_arms=3, noise=0.2, seed=0):
    """The course formula with t drawn, written out here so that metrics and data do not share a mistake."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(count, generator=generator)
    arms = torch.randint(num_arms, (count,), generator=generator)
    noise_term = noise * torch.randn(count, generator=generator)
    angle = 2 * math.pi / num_arms * (arms + 2 * t) + noise_term
    return torch.stack([t * angle.sin(), t * angle.cos()], dim=1), arms, noise_term


def test_polar_coordinates_follow_the_notebook():
    radius, angle = polar_coordinates(torch.tensor([[0.0, 2.0], [2.0, 0.0], [0.0, -1.0]]))
    assert radius.tolist() == [2, 2, 1]
    assert torch.allclose(angle, torch.tensor([0.0, math.pi / 2, math.pi]))


def test_origin_has_one_angle_whatever_the_sign_of_zero():
    origins = torch.tensor([[0.0, 0.0], [-0.0, 0.0], [0.0, -0.0], [-0.0, -0.0]])
    assert polar_coordinates(origins)[1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("num_arms", [1, 2, 3, 5])
def test_residuals_recover_arm_and_noise(num_arms):
    points, arms, noise = spiral(2000, num_arms, noise=0.1)
    away = points.norm(dim=1) > 0.02
    residuals, nearest = arm_residuals(points, num_arms)
    assert torch.equal(nearest[away], arms[away])
    assert torch.allclose(residuals[away], noise[away], atol=1e-4)


def test_residuals_of_true_points_are_normal_with_the_noise_as_std():
    residuals, _ = arm_residuals(spiral(4000)[0], 3)
    assert kstest(residuals.double().numpy() / 0.2, "norm").pvalue > 1e-3
    assert residuals.abs().max() <= math.pi / 3 + 1e-6


def test_radius_statistics_of_points_worked_out_by_hand():
    assert radius_distance(torch.tensor([[0.5, 0.0]])) == pytest.approx(0.5)
    assert radius_distance(torch.tensor([[2.0, 0.0], [3.0, 0.0]])) == pytest.approx(1.0)


def test_radius_distance_equals_scipy():
    radius = torch.rand(100, generator=torch.Generator().manual_seed(2)) ** 1.5
    points = torch.stack([radius, torch.zeros(100)], dim=1)
    assert radius_distance(points) == pytest.approx(kstest(radius.numpy(), "uniform").statistic, abs=1e-6)


def test_arm_divergence_of_true_points_is_small_and_of_one_arm_is_log_three():
    points, arms, _ = spiral(3000, noise=0.1)
    assert arm_kl(points, 3) < 5 * 2 / (2 * 3000)
    assert arm_kl(points[arms == 1], 3) == pytest.approx(math.log(3), abs=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: polar_coordinates(torch.zeros(3, 3)), r"points \[P, 2\], got \[3, 3\]"),
        (lambda: arm_residuals(torch.zeros(3, 2), 0), "num_arms must be at least 1, got 0"),
        (lambda: arm_kl(torch.zeros(0, 2), 3), "at least one point"),
        (lambda: radius_distance(torch.zeros(0, 2)), "at least one point"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
