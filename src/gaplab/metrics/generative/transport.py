"""Wasserstein-2 distances between two point sets of equal size."""

import torch
from torch import Tensor


def exact_wasserstein2(left: Tensor, right: Tensor) -> float:
    """W₂ = (min over pairings of the mean squared distance)^½ between [P, D] and [P, D], in units of the
    points.

    Solved as an assignment by SciPy; 2,500 points take seconds. Raises ImportError without SciPy.
    """
    _check_equal_shapes(left, right)
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError(
            "the exact Wasserstein distance needs SciPy: pip install 'gaplab[metrics]', "
            "or use sliced_wasserstein2"
        ) from error
    distances = torch.cdist(left.double(), right.double(), compute_mode="donot_use_mm_for_euclid_dist")
    costs = distances.square().cpu().numpy()
    rows, columns = linear_sum_assignment(costs)
    return float(costs[rows, columns].mean() ** 0.5)


def sliced_wasserstein2(
    left: Tensor, right: Tensor, *, num_directions: int = 500, generator: torch.Generator
) -> float:
    """Root mean square, over random directions, of the one-dimensional W₂ of the projections.

    In one dimension the best pairing joins sorted values. Source: Bonneel et al. 2015.
    """
    _check_equal_shapes(left, right)
    if num_directions < 1:
        raise ValueError(f"num_directions must be at least 1, got {num_directions}")
    directions = torch.randn(left.shape[1], num_directions, generator=generator, dtype=torch.float64)
    directions = (directions / directions.norm(dim=0)).to(left.device)
    ours, theirs = (_sorted_rows(directions.T @ points.double().T) for points in (left, right))
    return (ours - theirs).square_().mean().sqrt().item()


def _sorted_rows(values: Tensor) -> Tensor:
    """Sort the rows of a matrix, on a processor by NumPy, which takes an eighth of the time."""
    if values.device.type != "cpu":
        return values.sort(dim=1).values
    rows = values.numpy()
    rows.sort(axis=1)
    return torch.from_numpy(rows)


def _check_equal_shapes(left: Tensor, right: Tensor) -> None:
    if left.shape != right.shape or len(left) == 0:
        raise ValueError(
            "Wasserstein distances here need two non-empty point sets of equal shape, "
            f"got {list(left.shape)} and {list(right.shape)}"
        )
