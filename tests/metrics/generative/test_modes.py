import math

import pytest
import torch
from scipy.stats import entropy

from gaplab.metrics.generative.ceilings import high_quality_ceiling, monte_carlo_ceiling, reverse_kl_ceiling
from gaplab.metrics.generative.modes import (
    balanced_modes,
    mode_histogram,
    mode_scores,
    mode_shapes,
    nearest_centers,
    reverse_kl,
    within_mode_std_ratio,
)

ANGLES = 2 * math.pi * torch.arange(8) / 8
RING = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
TICKS = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
GRID = torch.cartesian_prod(TICKS, TICKS)


def perfect(centers, std, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(centers), (count,), generator=generator)
    return centers[labels] + std * torch.randn(count, 2, generator=generator)


def test_scores_of_a_sample_worked_out_by_hand():
    """Two centres, std 1: three good samples of the first, one of the second, one too far from both."""
    centers = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    points = torch.tensor([[1.0, 0], [-1, 0], [0, 2.9], [100, 1], [3.0, 0.1]])
    scores = mode_scores(points, centers, 1.0)
    assert mode_histogram(points, centers, 1.0).tolist() == [3, 1]
    assert scores.captured_modes == 2
    assert scores.balanced_modes == 2
    assert scores.high_quality_share == pytest.approx(0.8)
    assert scores.reverse_kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_distance_of_exactly_three_stds_is_not_high_quality():
    assert mode_histogram(torch.tensor([[3.0, 0.0]]), torch.zeros(1, 2), 1.0).tolist() == [0]


def test_reverse_kl_equals_scipy_and_is_log_k_for_one_mode():
    counts = torch.tensor([5, 0, 3, 12])
    uniform = [0.25] * 4
    assert reverse_kl(counts) == pytest.approx(entropy(counts.numpy() / 20, uniform), rel=1e-12)
    assert reverse_kl(torch.tensor([7, 0, 0, 0])) == pytest.approx(math.log(4))
    assert reverse_kl(torch.tensor([3, 3, 3])) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(reverse_kl(torch.zeros(4)))


@pytest.mark.parametrize(("centers", "std", "kl"), [(RING, 0.01, 0.0014), (GRID, 0.05, 0.0048)])
def test_a_perfect_sampler_reaches_its_ceilings(centers, std, kl):
    """Expected at 2,500 samples: 1 − e^{−4.5} = 98.89 ± .22 %, KL = (K − 1)/2n, spread ratio 1."""
    repeats = [mode_scores(perfect(centers, std, 2500, seed), centers, std) for seed in range(60)]
    quality = torch.tensor([scores.high_quality_share for scores in repeats])
    divergence = torch.tensor([scores.reverse_kl for scores in repeats])
    ratio = torch.tensor([scores.within_mode_std_ratio for scores in repeats])

    ceiling = high_quality_ceiling(2500)
    assert ceiling.mean == pytest.approx(0.98889, abs=1e-5)
    assert ceiling.std == pytest.approx(0.0021, abs=1e-4)
    assert quality.mean().item() == pytest.approx(ceiling.mean, abs=4 * ceiling.std / 60**0.5)
    assert quality.std().item() == pytest.approx(ceiling.std, rel=0.35)

    ceiling = reverse_kl_ceiling(2500, len(centers))
    assert ceiling.mean == pytest.approx(kl, abs=1e-4)
    assert divergence.mean().item() == pytest.approx(ceiling.mean, abs=4 * ceiling.std / 60**0.5)
    assert divergence.std().item() == pytest.approx(ceiling.std, rel=0.35)

    assert ratio.mean().item() == pytest.approx(1.0, abs=0.01)
    assert {scores.captured_modes for scores in repeats} == {len(centers)}
    assert {scores.balanced_modes for scores in repeats} == {len(centers)}


def test_collapse_within_modes_shows_although_every_sample_is_high_quality():
    """'GAN 99.3 % on 1 mode' looks better than a perfect sampler; the spread ratio tells why."""
    scores = mode_scores(perfect(RING, 0.002, 2500), RING, 0.01)
    assert scores.high_quality_share == 1.0
    assert scores.within_mode_std_ratio == pytest.approx(0.2 / math.sqrt(0.9495), rel=0.03)
    shifted = perfect(RING, 0.002, 2500) + 0.01
    assert within_mode_std_ratio(shifted, RING, 0.01) == pytest.approx(scores.within_mode_std_ratio, rel=0.03)


def test_one_sample_captures_a_mode_but_does_not_balance_it():
    """Published tables count a mode for one sample of 2,500; 20 % of the fair share says more."""
    counts = torch.tensor([2400, 1, 1, 98])
    assert int((counts > 0).sum()) == 4
    assert balanced_modes(counts) == 1
    assert balanced_modes(torch.tensor([2250, 125, 125, 0])) == 3
    assert balanced_modes(torch.zeros(3, dtype=torch.int64)) == 0


def test_a_ring_with_a_repeated_centre_is_refused():
    """GDPP evaluates with linspace(0, 2π, 8), prints 8 modes and splits one of 7 by the sign of x."""
    angles = torch.linspace(0, 2 * math.pi, 8)
    published = torch.stack([angles.cos(), angles.sin()], dim=1)
    with pytest.raises(ValueError, match="repeats its first centre"):
        mode_scores(perfect(published, 0.01, 100), published, 0.01)


def test_non_finite_samples_are_not_high_quality():
    points = torch.tensor([[math.nan, 0.0], [math.inf, 0.0], [1.0, 0.0], [1.001, 0.0]])
    scores = mode_scores(points, RING, 0.01)
    assert scores.high_quality_share == 0.5
    assert scores.captured_modes == 1


def test_nearest_centre_is_exact_for_far_away_points():
    """The matrix-product form of the distance loses the digits that tell these two centres apart."""
    centers = torch.tensor([[1000.0, 0.0], [1000.02, 0.0]])
    distances, indices = nearest_centers(torch.tensor([[1000.015, 0.0]]), centers)
    assert indices.tolist() == [1]
    assert distances.item() == pytest.approx(0.005, abs=1e-4)


@pytest.mark.parametrize(
    ("points", "std", "message"),
    [
        (torch.zeros(0, 2), 0.1, "at least one sample"),
        (torch.zeros(3, 2), 0.0, "std must be above 0"),
    ],
)
def test_wrong_arguments_are_named(points, std, message):
    with pytest.raises(ValueError, match=message):
        mode_scores(points, RING, std)


def test_too_few_samples_have_no_closed_ceiling():
    with pytest.raises(ValueError, match="at least 5 samples a mode, got 100 for 25 modes"):
        reverse_kl_ceiling(100, 25)


def test_monte_carlo_ceiling_equals_the_known_mean_and_spread():
    ceiling = monte_carlo_ceiling(
        lambda points: points.mean().item(),
        lambda generator: torch.randn(25, generator=generator) + 3,
        num_repeats=400,
        generator=torch.Generator().manual_seed(0),
    )
    assert ceiling.mean == pytest.approx(3, abs=4 * 0.2 / 20)
    assert ceiling.std == pytest.approx(0.2, rel=0.15)
    with pytest.raises(ValueError, match="num_repeats must be at least 2"):
        monte_carlo_ceiling(
            lambda p: 0.0, lambda g: torch.zeros(1), num_repeats=1, generator=torch.Generator()
        )


def test_shapes_of_a_perfect_sampler_and_of_known_flaws():
    """One mode of eight 10 % wider, one 0.4 standard deviations off, one with 30 % fewer points."""
    generator = torch.Generator().manual_seed(0)
    perfect_points = perfect(RING, 0.01, 80_000)
    shapes = mode_shapes(perfect_points, RING, 0.01)
    assert shapes.center_offset < 0.04
    assert 0.98 < shapes.smallest_std_ratio <= 1 <= shapes.largest_std_ratio < 1.02
    assert shapes.mass_tv < 0.01
    masses = torch.ones(8)
    masses[2] = 0.7
    labels = torch.multinomial(masses, 80_000, True, generator=generator)
    widths, shifts = torch.full((8,), 0.01), torch.zeros(8, 2)
    widths[0], shifts[1, 0] = 0.011, 0.004
    flawed = (
        RING[labels] + shifts[labels] + widths[labels, None] * torch.randn(80_000, 2, generator=generator)
    )
    shapes = mode_shapes(flawed, RING, 0.01)
    assert shapes.center_offset == pytest.approx(0.4, abs=0.03)
    assert shapes.largest_std_ratio == pytest.approx(1.08, abs=0.02)  # cut off at three true deviations
    assert shapes.mass_tv == pytest.approx(1 / 8 - 0.7 / 7.7, abs=0.01)
    assert shapes.roundness > 0.97


def test_an_oval_mode_has_the_ratio_of_its_axes():
    generator = torch.Generator().manual_seed(0)
    points = perfect(RING, 0.004, 40_000)
    turned = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    oval = RING[3] + torch.randn(5_000, 2, generator=generator) * torch.tensor([0.004, 0.002]) @ turned
    assert mode_shapes(points, RING, 0.01).roundness > 0.95
    others = points[nearest_centers(points, RING)[1] != 3]
    shapes = mode_shapes(torch.cat([others, oval]), RING, 0.01)
    assert shapes.roundness == pytest.approx(0.5, abs=0.03)
    assert shapes.largest_std_ratio == pytest.approx(0.4 / 0.9495**0.5, rel=0.03)


def test_mass_tv_counts_invalid_samples_and_a_lost_mode_has_no_width():
    points = torch.cat([RING[:7].repeat_interleave(100, dim=0), torch.full((300, 2), 9.0)])
    shapes = mode_shapes(points, RING, 0.01)
    good = 1 - math.exp(-4.5)
    expected = 0.5 * (7 * abs(0.1 - good / 8) + good / 8 + abs(0.3 - (1 - good)))
    assert shapes.mass_tv == pytest.approx(expected, rel=1e-9)
    assert shapes.smallest_std_ratio == shapes.largest_std_ratio == shapes.roundness == 0
    assert math.isnan(mode_shapes(points[-5:], RING, 0.01).center_offset)
