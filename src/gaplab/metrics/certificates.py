"""The bounds that can be printed beside a trained network."""

import copy
import dataclasses

import torch
from torch import Tensor, nn

from gaplab.metrics.bounds import Bound, finite_precision_bound, hoeffding_bound
from gaplab.metrics.capacity.weights import Parameters
from gaplab.metrics.pac_bayes import isotropic_posterior, pac_bayes_bound
from gaplab.metrics.pac_bayes_posterior import fitted_posterior, trained_prior

FEWEST_POINTS = 8
"""The PAC-Bayes theorem holds from so many points on (Maurer 2004)."""


def counting_bounds(network: nn.Module, num_points: int, num_test_points: int) -> list[Bound]:
    """Bounds that cost nothing: Hoeffding for the test set, and finite precision for the gap.

    Both assume independent points from one law, and the second that the architecture was fixed before the
    training points were seen.
    """
    parameters = list(network.parameters())
    return [
        hoeffding_bound(num_test_points),
        finite_precision_bound(
            sum(parameter.numel() for parameter in parameters),
            num_points,
            bits_per_parameter=8 * parameters[0].element_size(),
        ),
    ]


def pac_bayes_certificate(
    network: nn.Module,
    initial_parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    num_steps: int = 400,
    num_draws: int = 10_000,
) -> Bound:
    """A PAC-Bayes bound on the risk of noisy copies of the network, for a posterior fitted to it.

    Takes seconds. The prior is centred at ``initial_parameters``, which must not depend on the points. The
    posterior starts at the trained weights and moves away from them where that helps the bound.
    """
    start = isotropic_posterior(network, initial_parameters, points, labels, generator=generator)
    posterior = fitted_posterior(
        network, start, initial_parameters, points, labels, generator=generator, num_steps=num_steps
    )
    return pac_bayes_bound(
        network,
        initial_parameters,
        points,
        labels,
        generator=generator,
        posterior=posterior,
        num_draws=num_draws,
    )


def data_prior_certificate(
    network: nn.Module,
    initial_parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    num_prior_steps: int = 1_000,
    num_steps: int = 400,
    num_draws: int = 10_000,
) -> Bound:
    """The same with a prior that half of the points have trained, and the other half as the points of the theorem.

    The halves are drawn at random. The prior is centred at weights that a fixed recipe trains from
    ``initial_parameters`` on the first half, and the posterior is fitted around them; the theorem then holds for the
    second half alone, which is why the halves must not meet. It is a bound of its own beside ``pac_bayes_certificate``:
    the smaller of the two holds with probability 1 - 2 delta.

    Source: Ambroladze, Parrado-Hernandez and Shawe-Taylor 2007; Perez-Ortiz et al. 2021.
    """
    order = torch.randperm(len(points), generator=generator, device=points.device)
    first, second = order[: len(points) // 2], order[len(points) // 2 :]
    prior = trained_prior(
        network,
        initial_parameters,
        points[first],
        labels[first],
        generator=generator,
        num_steps=num_prior_steps,
    )
    centred = copy.deepcopy(network)
    centred.load_state_dict(prior, strict=False)
    bound = pac_bayes_certificate(
        centred,
        prior,
        points[second],
        labels[second],
        generator=generator,
        num_steps=num_steps,
        num_draws=num_draws,
    )
    return dataclasses.replace(
        bound, name="pac_bayes_data_prior", source=f"{bound.source}; prior of half the points"
    )
