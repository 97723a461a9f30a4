"""What could stand for the number of parameters N in √(N/m), and norm-based sizes of the gap: none is a bound."""

import itertools
import math

from torch import Tensor, nn

from gaplab.metrics.capacity.margins import tenth_percentile_margin
from gaplab.metrics.capacity.weights import Parameters, functional_forward, weight_matrices, weight_names
from gaplab.metrics.gap import sqrt_params_over_points
from gaplab.metrics.rademacher import golowich_complexity, pac_bayes_spectral_scale, spectral_margin_scale
from gaplab.metrics.vc import relu_vc_dimension


def gap_scales(
    network: nn.Module,
    initial_parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    *,
    effective_dimension: float | None = None,
) -> dict[str, float]:
    """Return the sizes that different capacities give the gap, by name; smaller is not better proven.

    - ``sqrt_effective_dimension_over_points``: √(N/m) with N the effective dimension of the Hessian (MacKay 1992).
    - ``sqrt_vc_dimension_over_points``: with N the VC dimension of one output; for fully connected ReLU
      networks only (Bartlett, Harvey, Liaw and Mehrabian 2019, constants unchecked).
    - ``golowich``: the norm-based Rademacher complexity of Golowich, Rakhlin and Shamir 2018.
    - ``spectral_margin``, ``pac_bayes_spectral``: Bartlett, Foster and Telgarsky 2017; Neyshabur,
      Bhojanapalli and Srebro 2018; at the 10th-percentile margin, left out where it is not positive.

    Args:
        network: In eval mode, on the device of the points.
        initial_parameters: Its parameters before training, by name.
        points: Training points [m, D].
        labels: Their labels [m].
        effective_dimension: Of the Hessian of the training loss, if it was computed.
    """
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    names, count = weight_names(network), len(points)
    weights = weight_matrices(parameters, names)
    radius = points.norm(dim=1).max().item()
    table = {}
    if effective_dimension is not None:
        table["sqrt_effective_dimension_over_points"] = math.sqrt(effective_dimension / count)
    leaves = (module for module in network.modules() if not list(module.children()))
    if any(leaf.state_dict() and not list(leaf.parameters()) for leaf in leaves):
        return table  # fixed features: the sizes below need the norms of what the first trained layer sees
    widths = _relu_widths(network, weights)
    if widths is not None:
        dimension = relu_vc_dimension([*widths[:-1], 1])
        table["sqrt_vc_dimension_over_points"] = sqrt_params_over_points(round(dimension), count)
    table["golowich"] = golowich_complexity(weights, radius, count)
    logits = functional_forward(network)(parameters, points)
    margin = tenth_percentile_margin(logits, labels).item()
    if margin > 0:
        references = weight_matrices(initial_parameters, names)
        table["spectral_margin"] = spectral_margin_scale(weights, references, points, margin).value
        table["pac_bayes_spectral"] = pac_bayes_spectral_scale(weights, radius, count, margin).value
    return table


def _relu_widths(network: nn.Module, weights: list[Tensor]) -> list[int] | None:
    """Return (inputs, hidden ..., outputs) of a fully connected ReLU network; None for any other."""
    leaves = [module for module in network.modules() if not list(module.children())]
    shown = [module for module in leaves if any(True for _ in module.parameters())]
    plain = all(isinstance(module, nn.Linear) for module in shown)
    relu = sum(isinstance(module, nn.ReLU) for module in leaves) == len(weights) - 1
    chained = all(first.shape[0] == second.shape[1] for first, second in itertools.pairwise(weights))
    if not (plain and relu and chained):
        return None
    return [weights[0].shape[1], *(weight.shape[0] for weight in weights)]
