"""A PAC-Bayes certificate for a randomised copy of a trained network.

The guarantee is for the Gibbs classifier, which draws fresh weights from a Gaussian posterior Q = N(w, σ²)
for every prediction; the network itself (no noise) is not covered. With P = N(w⁰, λ²) fixed before the m ≥ 8
points were seen, with probability at least 1 − δ over those points and for all Q at once,

    kl(R̂_Q ‖ R_Q) ≤ (KL(Q‖P) + ln(2√m/δ)) / m        (Seeger 2002; constant by Maurer 2004).

Every parameter tensor has its own λ from a fixed grid, which a union bound pays for. R̂_Q is an integral over
Q; K draws bound it from above (Langford and Caruana 2001), at half of the failure probability.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gaplab.metrics.bounds import Bound, require_delta

PRIOR_SIGMAS = tuple(10 ** (-3 + 4 * step / 79) for step in range(80))
"""The grid for λ, 80 values from 1e-3 to 10, a factor of 1.12 apart: fixed before any data."""

POSTERIOR_SIGMAS = tuple(2.0 ** (-exponent / 2) for exponent in range(21))
"""Candidates for a common σ, from 1 down to 2⁻¹⁰; free of charge, since the bound holds for all Q at once."""


class GaussianPosterior(NamedTuple):
    """Independent normal weights: a mean and a standard deviation for each parameter, by parameter name."""

    mean: dict[str, Tensor]
    sigma: dict[str, Tensor]


def binary_kl(q: float, p: float) -> float:
    """kl(q ‖ p) in nats between coins with success probabilities q and p."""
    kl = 0.0
    for a, b in ((q, p), (1 - q, 1 - p)):
        if a > 0:
            kl += a * math.log(a / b) if b > 0 else math.inf
    return kl


def kl_inverse_upper(q: float, budget: float) -> float:
    """The largest p with kl(q ‖ p) ≤ budget, by bisection to 1e-12 and rounded up.

    >>> round(kl_inverse_upper(0.0, 0.5), 6) == round(1 - math.exp(-0.5), 6)
    True
    """
    low, high = q, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if binary_kl(q, middle) <= budget else (low, middle)
    return high


def pac_bayes_kl_bound(
    empirical_risk: float, kl_divergence: float, num_points: int, delta: float = 0.05
) -> float:
    """Upper bound on R_Q from the exact R̂_Q and KL(Q‖P), by inverting the inequality above."""
    require_delta(delta)
    budget = (kl_divergence + math.log(2 * math.sqrt(num_points) / delta)) / num_points
    return kl_inverse_upper(empirical_risk, budget)


def gaussian_kl(mean: Tensor, sigma: Tensor, prior_mean: Tensor, prior_sigma: Tensor) -> Tensor:
    """KL(N(mean, sigma²) ‖ N(prior_mean, prior_sigma²)) in nats, summed over all (independent) elements."""
    ratio = (sigma / prior_sigma).square()
    shift = ((mean - prior_mean) / prior_sigma).square()
    return 0.5 * (ratio + shift - 1 - ratio.log()).sum()


def grid_kl(posterior: GaussianPosterior, prior_mean: dict[str, Tensor]) -> float:
    """Least KL(Q‖P) when each tensor takes its best λ of PRIOR_SIGMAS, plus the price ln 80 per tensor."""
    total = 0.0
    over_grid = vmap(gaussian_kl, in_dims=(None, None, None, 0))
    for name, mean in posterior.mean.items():
        scales = torch.tensor(PRIOR_SIGMAS, dtype=torch.float64, device=mean.device)
        divergences = over_grid(
            mean.double(), posterior.sigma[name].double(), prior_mean[name].to(mean).double(), scales
        )
        total += divergences.min().item() + math.log(len(scales))
    return total


def gibbs_error_rates(
    network: nn.Module,
    posterior: GaussianPosterior,
    points: Tensor,
    labels: Tensor,
    *,
    num_draws: int,
    points_per_draw: int,
    generator: torch.Generator,
) -> Tensor:
    """Error rates [K] of K independent networks from Q, each on its own random points (with replacement).

    Each is an unbiased estimate of R̂_Q in [0, 1], however few points it sees; that is all the certificate
    needs, and ten thousand draws then cost seconds. The generator lives on the device of the points.
    """

    def error_rate(parameters: dict[str, Tensor], points: Tensor, labels: Tensor) -> Tensor:
        logits = functional_call(network, parameters, (points,))
        return (logits.argmax(-1) != labels).to(points.dtype).mean()

    rates = []
    for start in range(0, num_draws, 100):
        size = min(100, num_draws - start)
        parameters = {
            name: mean + posterior.sigma[name] * _normal((size, *mean.shape), mean, generator)
            for name, mean in posterior.mean.items()
        }
        chosen = torch.randint(
            len(points), (size, points_per_draw), generator=generator, device=points.device
        )
        with torch.no_grad():
            rates.append(vmap(error_rate)(parameters, points[chosen], labels[chosen]))
    return torch.cat(rates)


def isotropic_posterior(
    network: nn.Module,
    prior_mean: dict[str, Tensor],
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    num_draws: int = 100,
    points_per_draw: int = 256,
) -> GaussianPosterior:
    """The weights of the network with that common σ of POSTERIOR_SIGMAS which promises the smallest bound."""
    mean = {name: parameter.detach() for name, parameter in network.named_parameters()}

    def promise(posterior: GaussianPosterior) -> float:
        rates = gibbs_error_rates(
            network,
            posterior,
            points,
            labels,
            num_draws=num_draws,
            points_per_draw=points_per_draw,
            generator=generator,
        )
        return pac_bayes_kl_bound(rates.double().mean().item(), grid_kl(posterior, prior_mean), len(points))

    candidates = [
        GaussianPosterior(mean, {name: torch.full_like(value, sigma) for name, value in mean.items()})
        for sigma in POSTERIOR_SIGMAS
    ]
    return min(candidates, key=promise)


def pac_bayes_bound(
    network: nn.Module,
    initial_parameters: dict[str, Tensor],
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    delta: float = 0.05,
    posterior: GaussianPosterior | None = None,
    num_draws: int = 10_000,
    points_per_draw: int = 256,
) -> Bound:
    """Upper bound on the risk of the Gibbs classifier around a trained network, valid with probability 1 − δ.

    ``initial_parameters`` are the means of the prior, by parameter name: the initialisation, or any weights
    that do not depend on ``points`` (say, trained on other points). ``points`` [m, D] and ``labels`` [m] must be
    independent draws of one distribution, all of them in use for training or not. Without a ``posterior``,
    ``isotropic_posterior`` picks one. The network must be deterministic (eval mode).
    """
    require_delta(delta)
    missing = dict(network.named_parameters()).keys() ^ initial_parameters.keys()
    if missing:
        raise ValueError(
            "Expected `initial_parameters` to name the parameters of the network, "
            f"but these stand on one side only: {sorted(missing)}."
        )
    if posterior is None:
        posterior = isotropic_posterior(network, initial_parameters, points, labels, generator=generator)
    rates = gibbs_error_rates(
        network,
        posterior,
        points,
        labels,
        num_draws=num_draws,
        points_per_draw=points_per_draw,
        generator=generator,
    )
    empirical_risk = kl_inverse_upper(rates.double().mean().item(), math.log(2 / (delta / 2)) / num_draws)
    with torch.no_grad():
        num_classes = network(points[:1]).shape[-1]
    return Bound(
        name="pac_bayes",
        value=pac_bayes_kl_bound(
            empirical_risk, grid_kl(posterior, initial_parameters), len(points), delta / 2
        ),
        delta=delta,
        rigorous=True,
        quantity="risk",
        trivial=1 - 1 / num_classes,
        source="Seeger 2002, Maurer 2004; Monte Carlo part by Langford and Caruana 2001",
    )


def _normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
