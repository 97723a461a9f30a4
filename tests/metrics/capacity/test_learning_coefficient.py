import math

import pytest
import torch

from gaplab.metrics.capacity.learning_coefficient import (
    complaint,
    langevin_step,
    local_learning_coefficient,
    split_r_hat,
)

NUM_POINTS = 1000
TEMPERED = NUM_POINTS / math.log(NUM_POINTS)


def test_quadratic_basin_has_half_a_unit_for_every_direction_that_beats_the_localization() -> None:
    curvature = torch.tensor([10.0, 10.0, 1.0, 0.0], dtype=torch.float64)
    localization, step_size = 20.0, 1e-4
    found = local_learning_coefficient(
        lambda w: (curvature * w.square()).sum() / 2,
        torch.zeros(4, dtype=torch.float64),
        NUM_POINTS,
        generator=torch.Generator().manual_seed(0),
        localization=localization,
        step_size=step_size,
        num_chains=2000,
        num_steps=200,
        num_burn_in=800,
    )
    # The sampled density is normal; Langevin steps of size ε inflate its variance by 1/(1 − εa/4).
    precision = TEMPERED * curvature + localization
    variance = 1 / (precision * (1 - step_size * precision / 4))
    assert found.mean == pytest.approx((TEMPERED * curvature * variance).sum().item() / 2, rel=0.03)
    assert 1.0 < found.mean < 1.5


def test_quartic_basin_is_singular() -> None:
    # E[w⁴] under exp(−nβw⁴) is 1/(4nβ): λ = 1/4, half of what a parameter counts in a regular model.
    found = local_learning_coefficient(
        lambda w: w.pow(4).sum(),
        torch.zeros(1, dtype=torch.float64),
        NUM_POINTS,
        generator=torch.Generator().manual_seed(1),
        localization=0.01,
        step_size=2e-3,
        num_chains=2000,
        num_steps=500,
        num_burn_in=500,
    )
    assert found.mean == pytest.approx(0.25, rel=0.05)


def test_the_step_is_small_beside_the_largest_curvature() -> None:
    curvature = torch.tensor([40.0, 1.0], dtype=torch.float64)
    step = langevin_step(40.0, NUM_POINTS)
    assert step * (TEMPERED * 40.0 + 100.0) == pytest.approx(0.5)
    found = local_learning_coefficient(
        lambda w: (curvature * w.square()).sum() / 2,
        torch.zeros(2, dtype=torch.float64),
        NUM_POINTS,
        generator=torch.Generator().manual_seed(2),
        step_size=step,
        num_chains=500,
    )
    parts = TEMPERED * curvature / (TEMPERED * curvature + 100.0) / 2
    assert found.mean == pytest.approx((parts * torch.tensor([8 / 7, 1.0])).sum().item(), rel=0.02)


def test_the_spread_is_that_of_chains_that_know_nothing_of_each_other() -> None:
    """Of a stationary chain of n steps with correlation ρ from step to step, whose values have variance λ/2 each."""
    a, step = TEMPERED + 1.0, 0.5 / (TEMPERED + 1.0)
    found = local_learning_coefficient(
        lambda w: w.square().sum() / 2,
        torch.zeros(1, dtype=torch.float64),
        NUM_POINTS,
        generator=torch.Generator().manual_seed(3),
        localization=1.0,
        step_size=step,
        num_chains=1000,
    )
    variance = TEMPERED / a / (1 - step * a / 4)  # of √(mβ)·w
    correlation = (1 - step * a / 2) ** 2  # of w², whose variance is 2·variance²
    expected = variance * (0.5 * (1 + correlation) / (1 - correlation) / 1000) ** 0.5
    assert found.spread == pytest.approx(expected, rel=0.1)
    assert complaint(found.mean, found.r_hat) is None


def test_r_hat_sees_chains_apart_and_chains_that_drift() -> None:
    draws = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    assert split_r_hat(draws) == pytest.approx(1, abs=0.01)
    apart = draws + 3 * torch.arange(4)[:, None]  # the means of eight halves: 0, 0, 3, 3, 6, 6, 9, 9
    assert split_r_hat(apart) == pytest.approx(math.sqrt(1 + 9 * 10 / 7), rel=0.02)
    assert split_r_hat(draws + torch.linspace(0, 6, 1000)) > 1.5


@pytest.mark.parametrize(
    ("mean", "r_hat", "word"),
    [(math.nan, math.nan, "smaller steps"), (-0.5, 1.0, "no minimum"), (2.0, 1.7, "more steps")],
)
def test_what_cannot_be_trusted_is_said(mean: float, r_hat: float, word: str) -> None:
    assert word in (complaint(mean, r_hat) or "")


def test_chains_that_leave_the_basin_are_said_to_diverge() -> None:
    found = local_learning_coefficient(
        lambda w: w.pow(4).sum(),
        torch.ones(3),
        NUM_POINTS,
        generator=torch.Generator().manual_seed(0),
        step_size=1.0,
        num_steps=50,
        num_burn_in=10,
    )
    assert "diverged" in (complaint(found.mean, found.r_hat) or "")
