"""All capacity measures of a network, or of many equal ones at once."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import cross_entropy

from gaplab.metrics.capacity.clusters import davies_bouldin_index, first_representation
from gaplab.metrics.capacity.curvature import (
    curvature_measures,
    flatten_parameters,
    large_curvature_measures,
)
from gaplab.metrics.capacity.gradients import fisher_rao_norm, gradient_variance
from gaplab.metrics.capacity.learning_coefficient import langevin_step, local_learning_coefficient
from gaplab.metrics.capacity.margins import reached_margin, tenth_percentile_margin
from gaplab.metrics.capacity.mixup import mixup_error
from gaplab.metrics.capacity.norms import (
    log_layer_product,
    log_layer_sum,
    squared_frobenius_norms,
    squared_spectral_norms,
)
from gaplab.metrics.capacity.path import squared_path_norm
from gaplab.metrics.capacity.sharpness import (
    draw_noise,
    magnitude_aware_pac_bayes_sharpness,
    pac_bayes_sharpness,
    tolerated_noise,
)
from gaplab.metrics.capacity.weights import (
    Forward,
    Parameters,
    functional_forward,
    weight_matrices,
    weight_names,
)


def robust_study_measures(
    forward: Forward,
    names: Sequence[str],
    parameters: Parameters,
    initial_parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    noise: Parameters,
) -> dict[str, Tensor]:
    """The 24 measures of Dziugaite et al. 2020, scaled by the number of points, as scalar tensors.

    A pure function without branches on values: vmap it over any of its tensors. ``names`` are the weight
    matrices, ``noise`` the draws of ``draw_noise``, ``points`` [m, D] and ``labels`` [m] the training set.
    """
    matrices = weight_matrices(parameters, names)
    moves = [w - w0 for w, w0 in zip(matrices, weight_matrices(initial_parameters, names), strict=True)]
    d, m = len(matrices), len(points)
    displacement = torch.cat([move.flatten() for move in moves])

    fro, spec = squared_frobenius_norms(matrices), squared_spectral_norms(matrices)
    fro_moves = squared_frobenius_norms(moves)
    margin = reached_margin(tenth_percentile_margin(forward(parameters, points), labels))
    log_spec, log_fro = log_layer_product(spec), log_layer_product(fro)
    log_spec_over_margin, log_fro_over_margin = log_spec - 2 * margin.log(), log_fro - 2 * margin.log()
    path_norm = squared_path_norm(forward, parameters, points)
    sigma = tolerated_noise(forward, parameters, points, labels, noise)
    mag_sigma = tolerated_noise(forward, parameters, points, labels, noise, magnitude_aware=True)

    values = {
        "params": torch.full_like(margin, displacement.numel()),
        "inverse_margin": margin.square().reciprocal(),
        "param_norm": fro.sum(),
        "fro_dist": fro_moves.sum(),
        "dist_spec_init": squared_spectral_norms(moves).sum(),
        "log_prod_of_spec": log_spec,
        "log_prod_of_spec_over_margin": log_spec_over_margin,
        "log_sum_of_spec": log_layer_sum(log_spec, d),
        "log_sum_of_spec_over_margin": log_layer_sum(log_spec_over_margin, d),
        "log_prod_of_fro": log_fro,
        "log_prod_of_fro_over_margin": log_fro_over_margin,
        "log_sum_of_fro": log_layer_sum(log_fro, d),
        "log_sum_of_fro_over_margin": log_layer_sum(log_fro_over_margin, d),
        "fro_over_spec": (fro / spec).sum(),
        "log_spec_init_main": log_spec_over_margin + (fro_moves / spec).sum().log(),
        "log_spec_orig_main": log_spec_over_margin + (fro / spec).sum().log(),
        "path_norm": path_norm,
        "path_norm_over_margin": path_norm / margin.square(),
        "pacbayes_init": pac_bayes_sharpness(fro_moves.sum(), sigma, m),
        "pacbayes_orig": pac_bayes_sharpness(fro.sum(), sigma, m),
        "pacbayes_flatness": sigma.square().reciprocal(),
        "pacbayes_mag_init": magnitude_aware_pac_bayes_sharpness(fro_moves.sum(), displacement, mag_sigma, m),
        "pacbayes_mag_orig": magnitude_aware_pac_bayes_sharpness(fro.sum(), displacement, mag_sigma, m),
        "pacbayes_mag_flatness": mag_sigma.square().reciprocal(),
    }
    return {
        name: (value - math.log(m)) / 2 if name.startswith("log_") else (value / m).sqrt()
        for name, value in values.items()
    }


def training_point_measures(
    forward: Forward, features: Forward, parameters: Parameters, points: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """What the network does between and with its training points; a pure function, as ``robust_study_measures``.

    ``features`` are those of ``clusters.first_representation``. Measures of mixtures are left out where points
    are no floats.
    """
    num_classes = forward(parameters, points[:1]).shape[-1]
    measures = {
        "fisher_rao_norm": fisher_rao_norm(forward, parameters, points, labels),
        "gradient_variance": gradient_variance(forward, parameters, points, labels),
        "davies_bouldin": davies_bouldin_index(features(parameters, points), labels, num_classes),
    }
    if points.is_floating_point():
        measures["mixup_error"] = mixup_error(forward, parameters, points, labels)
        measures["davies_bouldin_mixup"] = measures["davies_bouldin"] * measures["mixup_error"]
    return measures


def capacity_measures(
    network: nn.Module,
    initial_parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    num_draws: int = 10,
    max_hessian_parameters: int = 2000,
    num_hessian_products: int = 0,
    num_langevin_steps: int = 1000,
) -> dict[str, float]:
    """Every measure of ``catalogue.MEASURES`` for a trained network on its training set.

    ``initial_parameters`` hold the parameters before training, by name; ``points`` [m, D], ``labels`` [m]; the
    generator (on the points' device) draws the noise of the sharpness measures. The network must be in eval
    mode. The family "curvature" is exact up to ``max_hessian_parameters`` parameters; of larger networks trace
    and top eigenvalue come from ``num_hessian_products`` products with the Hessian, by SciPy, and are left out
    at 0. "singular" samples for ``num_langevin_steps``, and is left out at 0. Measures over a margin are
    infinite when a tenth of the training points is misclassified.

    Raises:
        ImportError: For products without SciPy.
    """
    forward, names = functional_forward(network), weight_names(network)
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    noise = draw_noise(parameters, num_draws, generator)
    measures = robust_study_measures(forward, names, parameters, initial_parameters, points, labels, noise)
    features = first_representation(network, points)
    measures |= training_point_measures(forward, features, parameters, points, labels)
    small = sum(parameter.numel() for parameter in parameters.values()) <= max_hessian_parameters
    if small or num_hessian_products > 0:
        double = functional_forward(copy.deepcopy(network).double())  # its buffers too
        measures |= (
            curvature_measures(double, parameters, points, labels)
            if small
            else large_curvature_measures(
                double,
                parameters,
                points,
                labels,
                generator=generator,
                num_products=num_hessian_products,
            )
        )
    table = {name: value.item() for name, value in measures.items()}
    if len(points) > 1 and num_langevin_steps > 0:  # its temperature is 1/ln m
        center, unflatten = flatten_parameters(parameters)
        top = table.get("hessian_top_eigenvalue")
        found = local_learning_coefficient(
            lambda vector: cross_entropy(forward(unflatten(vector), points), labels),
            center,
            len(points),
            generator=generator,
            step_size=1e-5 if top is None else langevin_step(top, len(points)),
            num_steps=num_langevin_steps,
            num_burn_in=num_langevin_steps // 2,
        )
        table["local_learning_coefficient"] = found.mean
        table["local_learning_coefficient_spread"] = found.spread
        table["local_learning_coefficient_r_hat"] = found.r_hat
    return table


def stacked_capacity_measures(
    network: nn.Module,
    parameters: Parameters,
    initial_parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    num_draws: int = 10,
    chunk_size: int | None = None,
) -> dict[str, Tensor]:
    """The measures of K networks of equal shape as tensors [K], without the families curvature and singular.

    ``parameters`` and ``initial_parameters`` are stacked [K, ...] (torch.func.stack_module_state); each network
    has its own training set, ``points`` [K, m, D] and ``labels`` [K, m]. All share the same noise draws;
    network k gets what ``capacity_measures`` gives it alone with an equal generator. ``chunk_size`` networks go
    at a time; on a CPU few are fastest.
    """
    forward, names = functional_forward(network), weight_names(network)
    features = first_representation(network, points[0])
    noise = draw_noise({name: value[0] for name, value in parameters.items()}, num_draws, generator)

    def measures(parameters: Parameters, initial: Parameters, points: Tensor, labels: Tensor) -> Parameters:
        table = robust_study_measures(forward, names, parameters, initial, points, labels, noise)
        return table | training_point_measures(forward, features, parameters, points, labels)

    return vmap(measures, chunk_size=chunk_size)(parameters, initial_parameters, points, labels)
