import math

import pytest
import torch

from gaplab.losses.adversarial import ADVERSARIAL_LOSSES

REAL = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.25, 1.0], dtype=torch.float64)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


REAL_LIST, FAKE_LIST = REAL.tolist(), FAKE.tolist()
CROSS_ENTROPY = mean(-math.log(sigmoid(r)) for r in REAL_LIST) + mean(
    -math.log(1 - sigmoid(f)) for f in FAKE_LIST
)
EXPECTED = {
    "minimax": (CROSS_ENTROPY, mean(math.log(1 - sigmoid(f)) for f in FAKE_LIST)),
    "non_saturating": (CROSS_ENTROPY, mean(-math.log(sigmoid(f)) for f in FAKE_LIST)),
    "least_squares": ((0.25 + 9 + 4) / 6 + (2.25 + 0.0625 + 1) / 6, (6.25 + 0.5625 + 0) / 6),
    "hinge": ((0.5 + 3 + 0) / 3 + (0 + 1.25 + 2) / 3, 0.25 / 3),
    "wasserstein": (-0.25 / 3 - 1.5 / 3, 0.25 / 3),
    "relativistic": (
        mean(softplus(-(r - f)) for r, f in zip(REAL_LIST, FAKE_LIST, strict=True)),
        mean(softplus(-(f - r)) for r, f in zip(REAL_LIST, FAKE_LIST, strict=True)),
    ),
}


def test_every_registered_loss_is_checked_here_and_names_its_source():
    assert EXPECTED.keys() == ADVERSARIAL_LOSSES.keys()
    assert all("20" in loss.source for loss in ADVERSARIAL_LOSSES.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_loss_equals_the_formula_written_with_plain_floats(name):
    loss = ADVERSARIAL_LOSSES[name]
    discriminator, generator = EXPECTED[name]
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, rel=1e-12)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(generator, rel=1e-12)


@pytest.mark.parametrize("name", EXPECTED)
def test_descent_pulls_scores_the_right_way(name):
    """The discriminator lifts real scores above generated ones; the generator lifts its own."""
    loss = ADVERSARIAL_LOSSES[name]
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    real_slope, fake_slope = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    assert (real_slope < 0).all()
    assert (fake_slope >= 0).all()
    (generator_slope,) = torch.autograd.grad(loss.generator(real, fake), fake)
    assert (generator_slope < 0).all()


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "relativistic"])
def test_confident_scores_stay_finite(name):
    loss = ADVERSARIAL_LOSSES[name]
    real, fake = torch.full((2,), -1e4), torch.full((2,), 1e4)
    assert loss.discriminator(real, fake).isfinite()
    assert loss.generator(fake, real).isfinite()


def test_saturation_separates_the_two_logistic_generators():
    """When the discriminator is sure (score −10), minimax has slope e^{−10}, non-saturating has slope −1."""
    scores = torch.full((1,), -10.0, dtype=torch.float64, requires_grad=True)
    (fading,) = torch.autograd.grad(ADVERSARIAL_LOSSES["minimax"].generator(scores, scores), scores)
    (alive,) = torch.autograd.grad(ADVERSARIAL_LOSSES["non_saturating"].generator(scores, scores), scores)
    assert fading.item() == pytest.approx(-sigmoid(-10), rel=1e-9)
    assert alive.item() == pytest.approx(-sigmoid(10), rel=1e-9)
