"""Measures from the Hessian of the training loss: exact for a few thousand parameters, from products beyond."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, vjp, vmap
from torch.nn.functional import cross_entropy

from gaplab.metrics.capacity.weights import Forward, Parameters


def flatten_parameters(parameters: Parameters) -> tuple[Tensor, Callable[[Tensor], Parameters]]:
    """All parameters as one vector [N], and the function that turns such a vector back."""
    names = list(parameters)
    shapes = [parameters[name].shape for name in names]

    def unflatten(vector: Tensor) -> Parameters:
        parts = vector.split([shape.numel() for shape in shapes])
        return {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}

    return torch.cat([parameters[name].flatten() for name in names]), unflatten


def hessian(loss: Callable[[Tensor], Tensor], vector: Tensor, *, chunk_size: int = 8) -> Tensor:
    """Exact Hessian [N, N] of a scalar function of a vector [N], ``chunk_size`` rows at a time.

    torch.func.hessian computes all N rows at once, which needs N times the memory of one; a few at a time are
    also faster, because they fit the cache.
    """
    pullback = vjp(grad(loss), vector)[1]
    (rows,) = vmap(pullback, chunk_size=chunk_size)(torch.eye(len(vector)).to(vector))
    return rows


def gradient_second_moment(
    loss_of_point: Callable[[Tensor, Tensor, Tensor], Tensor],
    vector: Tensor,
    points: Tensor,
    labels: Tensor,
    *,
    chunk_size: int = 1024,
) -> Tensor:
    """C = E[g gᵀ] over the gradients g of ``loss_of_point(vector, point, label)``, shape [N, N]."""
    gradients_of = vmap(grad(loss_of_point), in_dims=(None, 0, 0))
    moment = vector.new_zeros(len(vector), len(vector))
    for chunk, chunk_labels in zip(points.split(chunk_size), labels.split(chunk_size), strict=True):
        gradients = gradients_of(vector, chunk, chunk_labels)
        moment += gradients.mT @ gradients
    return moment / len(points)


def effective_dimension(eigenvalues: Tensor, alpha: float) -> Tensor:
    """Σ λ_i/(λ_i + α): number of directions that the data determine against a prior precision α.

    Negative eigenvalues count as 0 (away from a minimum they say nothing about curvature). α is in units of
    the mean loss: the precision divided by the number of points (MacKay 1992; Maddox et al. 2020).
    """
    curvatures = eigenvalues.clamp(min=0)
    return (curvatures / (curvatures + alpha)).sum()


def takeuchi_trace(eigenvalues: Tensor, eigenvectors: Tensor, moment: Tensor, alpha: float) -> Tensor:
    """tr((H₊ + αI)⁻¹C), with H₊ the Hessian without its negative part; tr(H⁻¹C) for regular H and α = 0.

    Divided by the number of points it estimates the gap of the loss of a regular model (Takeuchi 1976; Thomas
    et al. 2020). α keeps flat directions from dominating. Columns of ``eigenvectors`` [N, N] are directions.
    """
    moments = (eigenvectors * (moment @ eigenvectors)).sum(0)
    return (moments / (eigenvalues.clamp(min=0) + alpha)).sum()


def curvature_measures(
    forward: Forward, parameters: Parameters, points: Tensor, labels: Tensor, *, alpha: float = 1e-3
) -> dict[str, Tensor]:
    """Trace and top eigenvalue of the Hessian of the mean cross-entropy, effective dimension, and TIC trace.

    All parameters count, biases too. In float64, for the small eigenvalues' sake. Takes N passes over the
    points and N³ operations.
    """
    vector, unflatten = flatten_parameters({name: value.double() for name, value in parameters.items()})
    points = points.double()

    def loss_of_point(vector: Tensor, point: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(forward(unflatten(vector), point[None]), label[None])

    def mean_loss(vector: Tensor) -> Tensor:
        return cross_entropy(forward(unflatten(vector), points), labels)

    eigenvalues, eigenvectors = torch.linalg.eigh(hessian(mean_loss, vector))
    moment = gradient_second_moment(loss_of_point, vector, points, labels)
    return {
        "hessian_trace": eigenvalues.sum(),
        "hessian_top_eigenvalue": eigenvalues[-1],
        "effective_dimension": effective_dimension(eigenvalues, alpha),
        "takeuchi_trace": takeuchi_trace(eigenvalues, eigenvectors, moment, alpha),
    }


def large_curvature_measures(
    forward: Forward,
    parameters: Parameters,
    points: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    num_products: int = 100,
) -> dict[str, Tensor]:
    """Trace and top eigenvalue of the Hessian of the mean cross-entropy, from its products with vectors only.

    The eigenvalue is that of Lanczos (SciPy's ``eigsh``, to a relative 1e-6), the trace the mean of zᵀHz over
    ``num_products`` vectors z of random signs (Hutchinson 1990), with a standard error of at most
    √(2/num_products)·‖H‖_F. In float64, all parameters; takes N numbers for each of about 20 vectors.

    Raises:
        ImportError: Without SciPy.
    """
    try:
        from scipy.sparse.linalg import LinearOperator, eigsh
    except ImportError as error:
        raise ImportError(
            "The curvature of large networks needs SciPy: pip install 'gaplab[metrics]'."
        ) from error
    vector, unflatten = flatten_parameters({name: value.double() for name, value in parameters.items()})
    points = points.double() if points.is_floating_point() else points

    def mean_loss(vector: Tensor) -> Tensor:
        return cross_entropy(forward(unflatten(vector), points), labels)

    pullback = vjp(grad(mean_loss), vector)[1]
    size = len(vector)

    def product(column: NDArray[np.float64]) -> NDArray[np.float64]:
        (row,) = pullback(torch.from_numpy(column.reshape(-1)).to(vector))
        return row.detach().cpu().numpy()

    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    draws = torch.randint(2, (num_products, size), generator=generator, device=vector.device).double() * 2 - 1
    start = draws[0].cpu().numpy()  # SciPy's own would be another in every call
    (top,) = eigsh(operator, k=1, which="LA", v0=start, tol=1e-6, return_eigenvectors=False)
    trace = torch.stack([z @ pullback(z)[0].detach() for z in draws]).mean()
    return {"hessian_trace": trace, "hessian_top_eigenvalue": vector.new_tensor(top)}
