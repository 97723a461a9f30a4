"""Norms of weight matrices W_1 ... W_d, as vectors [d] over the layers."""

from collections.abc import Sequence

import torch
from torch import Tensor


def squared_frobenius_norms(matrices: Sequence[Tensor]) -> Tensor:
    """‖W_i‖_F² for each layer, shape [d]."""
    return torch.stack([matrix.square().sum() for matrix in matrices])


def squared_spectral_norms(matrices: Sequence[Tensor]) -> Tensor:
    """‖W_i‖₂², the largest squared singular value, for each layer, shape [d]."""
    return torch.stack([torch.linalg.svdvals(matrix)[0].square() for matrix in matrices])


def log_layer_product(squared_norms: Tensor) -> Tensor:
    """ln Π v_i of the squared norms [d] of the layers."""
    return squared_norms.log().sum()


def log_layer_sum(log_product: Tensor, num_layers: int) -> Tensor:
    """ln(d·(Π v_i)^(1/d)): the sum over layers after rescaling them to equal norm, from the log product.

    Rescaling one layer up and another down leaves a ReLU network's function alone; at equal norms the sum is
    least (Dziugaite et al. 2020, log_sum_of_*).
    """
    return torch.log(torch.as_tensor(num_layers, dtype=log_product.dtype)) + log_product / num_layers
