import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from gaplab.metrics.capacity.margins import margins, reached_margin, tenth_percentile_margin
from gaplab.metrics.capacity.norms import (
    log_layer_product,
    log_layer_sum,
    squared_frobenius_norms,
    squared_spectral_norms,
)
from gaplab.metrics.capacity.path import squared_path_norm
from gaplab.metrics.capacity.weights import functional_forward, weight_matrices, weight_names


def matrices() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(5, 2, generator=generator), torch.randn(3, 5, generator=generator)]


def test_layer_norms_agree_with_numpy_svd() -> None:
    singular = [np.linalg.svd(matrix.numpy(), compute_uv=False) for matrix in matrices()]
    np.testing.assert_allclose(
        squared_frobenius_norms(matrices()), [(s**2).sum() for s in singular], rtol=1e-5
    )
    np.testing.assert_allclose(squared_spectral_norms(matrices()), [s[0] ** 2 for s in singular], rtol=1e-5)


def test_layer_sum_is_the_sum_at_equal_norms() -> None:
    squared_norms = torch.tensor([2.0, 8.0])
    log_product = log_layer_product(squared_norms)
    assert log_product.item() == pytest.approx(math.log(16))
    # Rescaled to equal norms both layers have √16 = 4.
    assert log_layer_sum(log_product, 2).exp().item() == pytest.approx(8.0)


def test_margins_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, -1.0, 4.0], [1.0, 1.0, 0.0]])
    assert margins(logits, torch.tensor([0, 1, 0])).tolist() == [0.5, -5.0, 0.0]


def test_tenth_percentile_is_the_tenth_part_of_the_ordered_margins() -> None:
    true_logits = torch.randperm(50, generator=torch.Generator().manual_seed(0)).float()
    logits = torch.stack([true_logits, torch.zeros(50)], 1)
    labels = torch.zeros(50, dtype=torch.int64)
    assert tenth_percentile_margin(logits, labels) == 4.0  # fifth smallest of 0 ... 49
    assert tenth_percentile_margin(logits[:3], labels[:3]) == true_logits[:3].min()


def test_a_negative_margin_is_no_margin() -> None:
    assert reached_margin(torch.tensor([-0.7, 0.3])).tolist() == pytest.approx([0.0, 0.3])


def test_path_norm_is_the_sum_over_enumerated_paths() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    w1, b1, w2, b2, w3, b3 = [parameter.detach().double().numpy() for parameter in network.parameters()]
    total = 0.0
    for out in range(2):
        total += b3[out] ** 2
        for k in range(2):
            total += (w3[out, k] * b2[k]) ** 2
            for j in range(3):
                total += (w3[out, k] * w2[k, j] * b1[j]) ** 2
    for out, k, j, i in itertools.product(range(2), range(2), range(3), range(2)):
        total += (w3[out, k] * w2[k, j] * w1[j, i]) ** 2

    parameters = dict(network.named_parameters())
    path_norm = squared_path_norm(functional_forward(network), parameters, -torch.ones(7, 2))
    assert path_norm.item() == pytest.approx(total, rel=1e-5)


def test_weights_are_those_of_linear_layers_in_order() -> None:
    network = nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))
    assert weight_names(network) == ["0.weight", "2.1.weight"]
    assert weight_names(nn.Linear(2, 3)) == ["weight"]


def test_weights_of_other_networks_are_all_matrices_and_filters() -> None:
    network = nn.Sequential(nn.Conv1d(2, 4, kernel_size=3), nn.ReLU())
    assert weight_names(network) == ["0.weight"]
    parameters = dict(network.named_parameters())
    assert weight_matrices(parameters, ["0.weight"])[0].shape == (4, 6)
    with pytest.raises(ValueError, match="no parameter has two dimensions"):
        weight_names(nn.LayerNorm(3))
