"""A posterior trained to make the PAC-Bayes certificate small."""

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from gaplab.metrics.pac_bayes import PRIOR_SIGMAS, GaussianPosterior


def optimal_scale_kl(
    mean: dict[str, Tensor], log_sigma: dict[str, Tensor], prior_mean: dict[str, Tensor]
) -> Tensor:
    """KL(Q‖P) when every tensor has its best λ² = mean(σ² + (w − w⁰)²): Σ over tensors of n·ln λ − Σ ln σ."""
    divergences = []
    for name, log_scale in log_sigma.items():
        second_moment = ((2 * log_scale).exp() + (mean[name] - prior_mean[name]).square()).mean()
        divergences.append(log_scale.numel() / 2 * second_moment.log() - log_scale.sum())
    return torch.stack(divergences).sum()


def fitted_posterior(
    network: nn.Module,
    start: GaussianPosterior,
    prior_mean: dict[str, Tensor],
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    delta: float = 0.05,
    num_steps: int = 2000,
    learning_rate: float = 0.03,
    batch_size: int = 512,
    num_draws: int = 4,
) -> GaussianPosterior:
    """Means and one σ per weight that make ``pac_bayes_bound`` small, by Adam with a cosine schedule.

    Descends (√(R̂ + c) + √c)², an upper bound on R_Q with c = (KL + ln(2√m/δ))/(2m), where the cross-entropy
    divided by ln 2 stands for the risk R̂, which it exceeds. Whatever comes out, the certificate computed from
    it is valid: the theorem holds for every Q, also one that depends on all the points. Start from
    ``isotropic_posterior``.

    Dziugaite and Roy 2017 (arXiv 1703.11008); objective by Rivasplata et al. 2019.
    """
    mean = {name: value.clone().requires_grad_() for name, value in start.mean.items()}
    log_sigma = {name: value.log().requires_grad_() for name, value in start.sigma.items()}
    optimizer = torch.optim.Adam([*mean.values(), *log_sigma.values()], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    union_price = len(mean) * math.log(len(PRIOR_SIGMAS))
    constant = math.log(2 * math.sqrt(len(points)) / (delta / 2)) + union_price

    def surrogate_risk(parameters: dict[str, Tensor], points: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(functional_call(network, parameters, (points,)), labels) / math.log(2)

    for _ in range(num_steps):
        parameters = {}
        for name, center in mean.items():
            noise = torch.randn(
                num_draws, *center.shape, generator=generator, dtype=center.dtype, device=center.device
            )
            parameters[name] = center + log_sigma[name].exp() * noise
        chosen = torch.randint(
            len(points), (num_draws, batch_size), generator=generator, device=points.device
        )
        risk = vmap(surrogate_risk)(parameters, points[chosen], labels[chosen]).mean()
        complexity = (optimal_scale_kl(mean, log_sigma, prior_mean) + constant) / (2 * len(points))
        optimizer.zero_grad()
        ((risk + complexity).sqrt() + complexity.sqrt()).square().backward()
        optimizer.step()
        schedule.step()
    return GaussianPosterior(
        {name: value.detach() for name, value in mean.items()},
        {name: value.detach().exp() for name, value in log_sigma.items()},
    )


def trained_prior(
    network: nn.Module,
    initial_parameters: dict[str, Tensor],
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    num_steps: int = 400,
    learning_rate: float = 0.01,
    batch_size: int = 128,
) -> dict[str, Tensor]:
    """Return weights trained from ``initial_parameters`` by Adam on the cross-entropy: the mean of a prior.

    Points [m, D] must not be those that the bound is computed with.
    """
    weights = {name: value.detach().clone().requires_grad_() for name, value in initial_parameters.items()}
    optimizer = torch.optim.Adam(weights.values(), lr=learning_rate)
    for _ in range(num_steps):
        chosen = torch.randint(len(points), (batch_size,), generator=generator, device=points.device)
        optimizer.zero_grad()
        cross_entropy(functional_call(network, weights, (points[chosen],)), labels[chosen]).backward()
        optimizer.step()
    return {name: value.detach() for name, value in weights.items()}
