"""The bounds that can be printed beside a trained network."""

import torch
from torch import Tensor, nn

from gaplab.metrics.bounds import Bound, finite_precision_bound, hoeffding_bound
from gaplab.metrics.capacity.weights import Parameters
from gaplab.metrics.pac_bayes import isotropic_posterior, pac_bayes_bound
from gaplab.metrics.pac_bayes_posterior import fitted_posterior


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
    num_draws: int = 2000,
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
