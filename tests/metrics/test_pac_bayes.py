import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn

from gaplab.metrics.certificates import data_prior_certificate, pac_bayes_certificate
from gaplab.metrics.pac_bayes import (
    PRIOR_SIGMAS,
    GaussianPosterior,
    binary_kl,
    gaussian_kl,
    gibbs_error_rates,
    grid_kl,
    isotropic_posterior,
    kl_inverse_upper,
    pac_bayes_bound,
    pac_bayes_kl_bound,
)
from gaplab.metrics.pac_bayes_posterior import fitted_posterior, optimal_scale_kl


@pytest.mark.parametrize(("q", "p"), [(0.1, 0.3), (0.0, 0.5), (1.0, 0.25), (0.4, 0.4)])
def test_binary_kl_is_the_relative_entropy(q: float, p: float) -> None:
    assert binary_kl(q, p) == pytest.approx(stats.entropy([q, 1 - q], [p, 1 - p]))


def test_binary_kl_of_the_impossible_is_infinite() -> None:
    assert binary_kl(0.5, 0.0) == binary_kl(0.5, 1.0) == math.inf


@pytest.mark.parametrize("q", [0.0, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("budget", [1e-6, 0.05, 2.0])
def test_kl_inverse_solves_the_equation(q: float, budget: float) -> None:
    upper = kl_inverse_upper(q, budget)
    assert q <= upper
    assert binary_kl(q, upper - 2e-12) <= budget <= binary_kl(q, upper + 1e-15)


def test_kl_inverse_closed_forms() -> None:
    assert kl_inverse_upper(0.0, 0.3) == pytest.approx(1 - math.exp(-0.3), abs=1e-11)
    assert kl_inverse_upper(1.0, 0.3) == 1.0


def test_bound_without_errors_is_the_closed_form_and_beats_pinsker() -> None:
    budget = (20 + math.log(2 * math.sqrt(1000) / 0.05)) / 1000
    assert pac_bayes_kl_bound(0.0, 20.0, 1000) == pytest.approx(-math.expm1(-budget), abs=1e-11)
    for risk in (0.0, 0.1, 0.5):
        assert pac_bayes_kl_bound(risk, 20.0, 1000) <= risk + math.sqrt(budget / 2)


def test_gaussian_kl_agrees_with_numerical_integration() -> None:
    q, p = stats.norm(0.3, 0.5), stats.norm(-0.2, 0.8)
    expected, _ = integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), -6, 6)
    values = [torch.tensor([v], dtype=torch.float64) for v in (0.3, 0.5, -0.2, 0.8)]
    assert gaussian_kl(*values).item() == pytest.approx(expected, rel=1e-6)
    # Independent elements add up.
    assert gaussian_kl(*(v.expand(3) for v in values)).item() == pytest.approx(3 * expected, rel=1e-6)


def test_grid_kl_is_near_the_best_continuous_prior_scale() -> None:
    mean, reference = torch.full((50,), 0.7), torch.zeros(50)
    posterior = GaussianPosterior({"w": mean}, {"w": torch.full((50,), 0.1)})
    # The best λ² is σ² + ‖w − w⁰‖²/N = .5, where KL = N/2·ln(λ²/σ²).
    best = 25 * math.log(0.5 / 0.01)
    value = grid_kl(posterior, {"w": reference}) - math.log(len(PRIOR_SIGMAS))
    assert best <= value + 1e-4
    assert value == pytest.approx(best, abs=0.25)


def linear_classifier() -> nn.Linear:
    network = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.0], [1.0]]))
    return network


def test_gibbs_error_rate_of_a_linear_rule_has_a_closed_form() -> None:
    # Class 1 wins for x > 0 when w₁ − w₀ ~ N(1, 2·σ²) is positive.
    network, sigma = linear_classifier(), 0.8
    posterior = GaussianPosterior({"weight": network.weight.detach()}, {"weight": torch.full((2, 1), sigma)})
    points, labels = torch.rand(40, 1) + 0.1, torch.ones(40, dtype=torch.int64)
    rates = gibbs_error_rates(
        network,
        posterior,
        points,
        labels,
        num_draws=20_000,
        points_per_draw=3,
        generator=torch.Generator().manual_seed(0),
    )
    expected = stats.norm.cdf(-1 / (sigma * math.sqrt(2)))
    assert rates.shape == (20_000,)
    assert rates.mean().item() == pytest.approx(expected, abs=4 * math.sqrt(expected / 20_000))


def two_half_lines(num_points: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    points = torch.rand(num_points, 1, generator=generator) * 2 - 1
    flipped = torch.rand(num_points, generator=generator) < 0.1
    return points, ((points[:, 0] > 0) ^ flipped).long()


def test_certificate_lies_above_the_true_risk_and_is_not_vacuous() -> None:
    network = linear_classifier()
    initial = {"weight": torch.zeros(2, 1)}
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        points, labels = two_half_lines(2000, generator)
        bound = pac_bayes_bound(network, initial, points, labels, generator=generator, num_draws=2000)
        # The best rule errs on a tenth of the points, and every rule errs at least that often.
        assert 0.1 < bound.value < 0.25
        assert bound.rigorous
        assert bound.trivial == 0.5
        assert not bound.vacuous


def spiral(num_points: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Three arms, radius t ~ U(0, 1), angle 2π/3·(c + 2t) with normal noise of .2 rad."""
    t, noise = torch.rand(num_points, generator=generator), torch.randn(num_points, generator=generator)
    labels = torch.randint(3, (num_points,), generator=generator)
    angle = 2 * math.pi / 3 * (labels + 2 * t) + 0.2 * noise
    return torch.stack([t * angle.sin(), t * angle.cos()], 1), labels


def test_certificate_of_a_trained_spiral_network_beats_guessing() -> None:
    generator = torch.Generator().manual_seed(0)
    points, labels = spiral(5000, generator)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 50), nn.ReLU(), nn.Linear(50, 3))
    initial = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(600):
        batch = torch.randint(len(points), (512,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(points[batch]), labels[batch]).backward()
        optimizer.step()

    isotropic = isotropic_posterior(network, initial, points, labels, generator=generator)
    fitted = fitted_posterior(network, isotropic, initial, points, labels, generator=generator, num_steps=500)
    unseen_points, unseen_labels = spiral(100_000, generator)
    values = []
    for posterior in (isotropic, fitted):
        bound = pac_bayes_bound(
            network, initial, points, labels, generator=generator, posterior=posterior, num_draws=5000
        )
        unseen = gibbs_error_rates(
            network,
            posterior,
            unseen_points,
            unseen_labels,
            num_draws=1000,
            points_per_draw=256,
            generator=generator,
        )
        assert unseen.mean().item() < bound.value < 0.4
        assert bound.trivial == pytest.approx(2 / 3)
        values.append(bound.value)
    assert values[1] < 0.9 * values[0]


def test_optimal_scale_kl_is_the_least_over_all_prior_scales() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, prior_mean = (torch.randn(7, dtype=torch.float64, generator=generator) for _ in range(2))
    sigma = torch.rand(7, dtype=torch.float64, generator=generator) + 0.1
    scales = torch.linspace(0.1, 5, 20_000, dtype=torch.float64)
    least = min(gaussian_kl(mean, sigma, prior_mean, scale).item() for scale in scales)
    found = optimal_scale_kl({"w": mean}, {"w": sigma.log()}, {"w": prior_mean}).item()
    assert found == pytest.approx(least, rel=1e-6)
    assert found <= least


def test_certificate_pays_for_the_monte_carlo_error() -> None:
    network, generator = linear_classifier(), torch.Generator()
    points, labels = torch.rand(500, 1) + 0.1, torch.ones(500, dtype=torch.int64)
    posterior = GaussianPosterior({"weight": network.weight.detach()}, {"weight": torch.full((2, 1), 1e-3)})
    initial = {"weight": torch.zeros(2, 1)}
    for num_draws in (10, 1000):
        bound = pac_bayes_bound(
            network, initial, points, labels, generator=generator, posterior=posterior, num_draws=num_draws
        )
        # No draw errs: R̂_Q is bounded by 1 − exp(−ln(2/(δ/2))/K) at δ/2, the rest goes to PAC-Bayes.
        risk = -np.expm1(-math.log(80) / num_draws)
        expected = pac_bayes_kl_bound(float(risk), grid_kl(posterior, initial), 500, 0.025)
        assert bound.value == pytest.approx(expected, abs=1e-9)


def test_isotropic_posterior_keeps_the_weights_and_prefers_little_noise_for_a_delicate_rule() -> None:
    network = linear_classifier()
    points, labels = torch.rand(2000, 1) + 0.1, torch.ones(2000, dtype=torch.int64)
    generator, initial = torch.Generator().manual_seed(0), {"weight": torch.zeros(2, 1)}
    robust = isotropic_posterior(network, initial, points, labels, generator=generator)
    with torch.no_grad():
        network.weight.mul_(0.05)
    delicate = isotropic_posterior(network, initial, points, labels, generator=generator)
    assert torch.equal(delicate.mean["weight"], network.weight)
    assert delicate.sigma["weight"].max() < robust.sigma["weight"].min()


def test_certificate_names_parameters_without_a_prior() -> None:
    with pytest.raises(ValueError, match=r"`initial_parameters`.*\['weight'\]"):
        pac_bayes_bound(
            linear_classifier(), {}, torch.ones(9, 1), torch.zeros(9).long(), generator=torch.Generator()
        )


def test_a_prior_of_half_the_points_tightens_the_bound_and_never_beats_chance_on_chance() -> None:
    """Labels that nothing predicts are the falsifier: half of them are learned by heart, and the bound knows it."""
    draws = torch.Generator().manual_seed(0)
    points = torch.randn(300, 2, generator=draws)
    network = nn.Sequential(nn.Linear(2, 20), nn.ReLU(), nn.Linear(20, 2))
    initial = {name: p.detach().clone() for name, p in network.named_parameters()}
    found = {}
    for kind, labels in (
        ("law", (points.prod(dim=1) > 0).long()),
        ("chance", torch.randint(2, (300,), generator=draws)),
    ):
        for certificate in (pac_bayes_certificate, data_prior_certificate):
            bound = certificate(
                network,
                initial,
                points,
                labels,
                generator=torch.Generator().manual_seed(1),
                num_steps=100,
                num_draws=1000,
            )
            found[kind, bound.name] = bound.value
    assert found["law", "pac_bayes_data_prior"] < 0.8 * found["law", "pac_bayes"]
    assert found["law", "pac_bayes_data_prior"] < 0.5
    assert found["chance", "pac_bayes_data_prior"] >= 0.5
    assert all(torch.equal(p, initial[name]) for name, p in network.named_parameters()), (
        "the network is left alone"
    )
