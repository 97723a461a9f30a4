import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gaplab.metrics.capacity.curvature import (
    curvature_measures,
    effective_dimension,
    flatten_parameters,
    gradient_second_moment,
    hessian,
    large_curvature_measures,
    takeuchi_trace,
)
from gaplab.metrics.capacity.gradients import fisher_rao_norm, gradient_variance
from gaplab.metrics.capacity.weights import functional_forward


def small_case(*, bias: bool = True) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(2, 4, bias=bias),
        nn.ReLU(),
        nn.Linear(4, 4, bias=bias),
        nn.ReLU(),
        nn.Linear(4, 3, bias=bias),
    ).double()
    return network, torch.randn(30, 2, dtype=torch.float64), torch.arange(30) % 3


def gradients_one_by_one(network: nn.Module, points: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    rows = []
    for point, label in zip(points, labels, strict=True):
        loss = cross_entropy(network(point[None]), label[None])
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]).numpy())
    return np.stack(rows)


def hessian_by_double_backward(network: nn.Module, points: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(cross_entropy(network(points), labels), parameters, create_graph=True)
    rows = []
    for component in torch.cat([gradient.flatten() for gradient in gradients]):
        second = torch.autograd.grad(component, parameters, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([part.flatten() for part in second]).numpy())
    return np.stack(rows)


def test_hessian_of_a_quadratic_is_its_matrix() -> None:
    matrix = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = hessian(lambda v: v @ matrix @ v / 2, torch.ones(5, dtype=torch.float64), chunk_size=2)
    torch.testing.assert_close(found, (matrix + matrix.T) / 2)


def test_curvature_measures_agree_with_double_backward_and_numpy() -> None:
    network, points, labels = small_case()
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    found = curvature_measures(functional_forward(network), parameters, points, labels, alpha=0.01)

    H = hessian_by_double_backward(network, points, labels)
    G = gradients_one_by_one(network, points, labels)
    eigenvalues, eigenvectors = np.linalg.eigh(H)
    positive = (eigenvectors * eigenvalues.clip(0)) @ eigenvectors.T
    damped = positive + 0.01 * np.eye(len(H))
    assert found["hessian_trace"].item() == pytest.approx(np.trace(H))
    assert found["hessian_top_eigenvalue"].item() == pytest.approx(eigenvalues.max())
    assert found["effective_dimension"].item() == pytest.approx(np.trace(positive @ np.linalg.inv(damped)))
    assert found["takeuchi_trace"].item() == pytest.approx(
        np.trace(np.linalg.solve(damped, G.T @ G / len(G)))
    )


def test_products_with_the_hessian_find_its_trace_and_top_eigenvalue() -> None:
    network, points, labels = small_case()
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    H = hessian_by_double_backward(network, points, labels)
    num_products = 4000
    found = large_curvature_measures(
        functional_forward(network),
        parameters,
        points,
        labels,
        generator=torch.Generator().manual_seed(0),
        num_products=num_products,
    )
    assert found["hessian_top_eigenvalue"].item() == pytest.approx(np.linalg.eigvalsh(H).max(), rel=1e-6)
    # zᵀHz of random signs has variance 2·Σ H_ij² over i ≠ j.
    error = np.sqrt(2 * ((H**2).sum() - (np.diag(H) ** 2).sum()) / num_products)
    assert error < 0.1 * np.trace(H)
    assert found["hessian_trace"].item() == pytest.approx(np.trace(H), abs=4 * error)


def test_effective_dimension_counts_well_determined_directions() -> None:
    eigenvalues = torch.tensor([1e6, 1e6, 1.0, 1e-6, -5.0])
    assert effective_dimension(eigenvalues, alpha=1.0).item() == pytest.approx(2.5, abs=1e-5)


def test_takeuchi_trace_of_a_true_model_is_the_number_of_parameters() -> None:
    # Where the model is right, C equals H, and tr(H⁻¹C) counts the parameters (AIC).
    H = torch.diag(torch.tensor([4.0, 2.0, 0.5]))
    eigenvalues, eigenvectors = torch.linalg.eigh(H)
    assert takeuchi_trace(eigenvalues, eigenvectors, H, alpha=0.0).item() == pytest.approx(3.0)


def test_gradient_moment_does_not_depend_on_the_chunks() -> None:
    network, points, labels = small_case()
    forward = functional_forward(network)
    vector, unflatten = flatten_parameters({n: p.detach() for n, p in network.named_parameters()})

    def loss(vector: torch.Tensor, point: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return cross_entropy(forward(unflatten(vector), point[None]), label[None])

    G = gradients_one_by_one(network, points, labels)
    for chunk_size in (7, 100):
        moment = gradient_second_moment(loss, vector, points, labels, chunk_size=chunk_size)
        np.testing.assert_allclose(moment.numpy(), G.T @ G / len(G), atol=1e-12)


def test_gradient_variance_agrees_with_a_loop() -> None:
    network, points, labels = small_case()
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    G = gradients_one_by_one(network, points, labels)
    found = gradient_variance(functional_forward(network), parameters, points, labels, chunk_size=7)
    assert found.item() == pytest.approx(((G - G.mean(0)) ** 2).sum(1).mean())


def test_fisher_rao_norm_of_a_bias_free_network_is_the_closed_form() -> None:
    network, points, labels = small_case(bias=False)
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    logits = network(points).detach().requires_grad_()
    slopes = torch.autograd.grad(cross_entropy(logits, labels, reduction="sum"), logits)[0]
    expected = 3**2 * (slopes * logits).sum(-1).square().mean()  # two hidden layers: (L + 1)² = 9
    found = fisher_rao_norm(functional_forward(network), parameters, points, labels)
    assert found.item() == pytest.approx(expected.item())


def test_fisher_rao_norm_with_biases_is_the_quadratic_form() -> None:
    network, points, labels = small_case()
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    theta = flatten_parameters(parameters)[0].numpy()
    expected = ((gradients_one_by_one(network, points, labels) @ theta) ** 2).mean()
    assert fisher_rao_norm(functional_forward(network), parameters, points, labels).item() == pytest.approx(
        expected
    )
