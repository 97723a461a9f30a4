import math

import pytest
import torch

from gaplab.metrics.capacity.learning_coefficient import local_learning_coefficient

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
    assert found == pytest.approx((TEMPERED * curvature * variance).sum().item() / 2, rel=0.03)
    assert 1.0 < found < 1.5


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
    assert found == pytest.approx(0.25, rel=0.05)
