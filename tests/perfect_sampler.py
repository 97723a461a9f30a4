"""What a perfect sampler would score at a given sample size: no generator can be expected to do better.

Closed forms where they are known; ``monte_carlo_ceiling`` measures any other statistic on the true sampler
itself.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Ceiling(NamedTuple):
    """Mean and standard deviation of a score under the true law (a spread from sample to sample, not an
    error).
    """

    mean: float
    std: float


def high_quality_ceiling(num_samples: int, *, num_stds: float = 3.0) -> Ceiling:
    """Share within c standard deviations in two dimensions: 1 − e^{−c²/2} = 98.89 % at c = 3.

    A clearly higher share is no success: it means that the spread within modes has collapsed.
    """
    share = -math.expm1(-(num_stds**2) / 2)
    return Ceiling(share, math.sqrt(share * (1 - share) / num_samples))


def reverse_kl_ceiling(num_samples: int, num_modes: int) -> Ceiling:
    """(K − 1)/(2n) ± √(2(K − 1))/(2n) nats: 2n·KL is close to χ² with K − 1 degrees of freedom.

    ``num_samples`` counts high-quality samples. Raises ValueError below 5 samples a mode, where the limit law
    fails.
    """
    if num_samples < 5 * num_modes:
        raise ValueError(
            f"the KL ceiling needs at least 5 samples a mode, got {num_samples} for {num_modes} modes; "
            "use monte_carlo_ceiling"
        )
    return Ceiling((num_modes - 1) / (2 * num_samples), math.sqrt(2 * (num_modes - 1)) / (2 * num_samples))


def coverage_ceiling(num_real: int, num_fake: int, *, num_neighbours: int = 5) -> float:
    """Expected coverage of equal laws: 1 − Π_{i=1..k} (N − i)/(M + N − i), near 1 − 2^{−k} for N = M.

    N real and M generated points. Source: Naeem et al. 2020.
    """
    if num_real <= num_neighbours or num_fake < 1:
        raise ValueError(
            f"coverage needs more than {num_neighbours} real and at least 1 generated point, "
            f"got {num_real} and {num_fake}"
        )
    missed = math.prod((num_real - i) / (num_fake + num_real - i) for i in range(1, num_neighbours + 1))
    return 1 - missed


def accuracy_ceiling(num_test: int) -> Ceiling:
    """Accuracy of any two-sample judge for equal laws: ½ ± 1/(2√n_te)."""
    return Ceiling(0.5, 0.5 / math.sqrt(num_test))


def monte_carlo_ceiling(
    statistic: Callable[[Tensor], float],
    sample: Callable[[torch.Generator], Tensor],
    *,
    num_repeats: int,
    generator: torch.Generator,
) -> Ceiling:
    """Mean and spread of ``statistic(points)`` over fresh draws ``sample(generator)`` from the true law.

    Statistics of two samples close over the real one. Raises ValueError for fewer than 2 repeats.
    """
    if num_repeats < 2:
        raise ValueError(f"num_repeats must be at least 2 to measure a spread, got {num_repeats}")
    values = torch.tensor([statistic(sample(generator)) for _ in range(num_repeats)], dtype=torch.float64)
    return Ceiling(values.mean().item(), values.std().item())
