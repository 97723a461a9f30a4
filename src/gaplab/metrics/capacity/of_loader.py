"""Capacity measures of anybody's classifier, on the points of any loader."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from gaplab.metrics.capacity import table


def capacity_measures(
    network: nn.Module,
    initial: nn.Module | Mapping[str, Tensor],
    loader: Iterable[Any],
    *,
    max_batches: int | None = None,
    max_hessian_parameters: int = 2_000,
    num_hessian_products: int = 0,
    num_langevin_steps: int = 0,
    seed: int = 0,
) -> dict[str, float]:
    """Return the capacity measures of a trained classifier, by name; ``gaplab.capacity_measures`` is this function.

    Those of Jiang et al. (2020) and Dziugaite et al. (2020): norms, margins, distances from initialisation, sharpness,
    the flatness of PAC-Bayes bounds; what each is stands in ``gaplab.metrics.capacity.catalogue``. Weight matrices are
    those of linear and convolutional layers, a filter a row. The network is measured in eval mode and left as it is::

        initial = copy.deepcopy(network)
        ...  # train
        measures = capacity_measures(network, initial, train_loader)

    Args:
        network: Maps inputs [B, ...] to logits [B, C].
        initial: The network, or its ``state_dict()``, before training.
        loader: Batches ``(inputs, labels, ...)`` of the training set; labels int64 [B].
        max_batches: Use so many batches only; all points must fit the memory at once.
        max_hessian_parameters: Parameters of the largest network whose exact Hessian is taken.
        num_hessian_products: Random vectors behind the trace of a larger one, whose largest eigenvalue is that of
            Lanczos (SciPy); 0 leaves both out.
        num_langevin_steps: Steps that estimate the local learning coefficient; 0 leaves it out.
        seed: Of the noise that sharpness draws.

    Raises:
        ValueError: If the loader has no points, or ``initial`` lacks a parameter or has one of another shape.
    """
    batches = [(batch[0], batch[1]) for batch in islice(loader, max_batches)]
    if not batches:
        raise ValueError("Expected a loader with points, but it has no batch.")
    parameters = dict(network.named_parameters())
    device, dtype = next((p.device, p.dtype) for p in parameters.values())
    points = torch.cat([inputs for inputs, _ in batches]).to(device)
    points = points.to(dtype) if points.is_floating_point() else points
    labels = torch.cat([labels for _, labels in batches]).to(device)
    before = initial.state_dict() if isinstance(initial, nn.Module) else initial
    for name, parameter in parameters.items():
        if name not in before or before[name].shape != parameter.shape:
            found = "it is missing" if name not in before else f"it has shape {list(before[name].shape)}"
            raise ValueError(
                f"Expected `initial` to hold {name} of shape {list(parameter.shape)}, but {found}."
            )
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        return table.capacity_measures(
            network,
            {name: before[name].detach().to(device, dtype) for name in parameters},
            points,
            labels,
            generator=torch.Generator(device).manual_seed(seed),
            max_hessian_parameters=max_hessian_parameters,
            num_hessian_products=num_hessian_products,
            num_langevin_steps=num_langevin_steps,
        )
    finally:
        for module, mode in training.items():
            module.training = mode
