"""P-values of permutation tests, and the p-value that equal laws have on average."""

from torch import Tensor


def permutation_p_value(observed: float, permuted: Tensor, *, tolerance: float = 0.0) -> float:
    """Return (1 + permuted statistics [N] at least as large) / (1 + N): never 0, and valid at every sample size.

    Statistics that are smaller by a share ``tolerance`` of ``observed`` count as equal: rounding.
    """
    exceeding = int((permuted >= observed - tolerance * abs(observed)).sum())
    return (1 + exceeding) / (1 + len(permuted))


def expected_p_value(permuted: Tensor, *, tolerance: float = 0.0) -> float:
    """Return the mean of ``permutation_p_value`` where the observed statistic is one more permuted one of [N].

    The chance that one of two different permuted statistics is at least the other is the mean over all pairs of them:
    one half without ties, more with them.
    """
    number = len(permuted)
    if number < 2:
        raise ValueError(f"an expected p-value needs at least 2 permuted statistics, got {number}")
    least = permuted - tolerance * permuted.abs()
    # Every statistic is at least itself; these pairs do not count.
    pairs = int((permuted[None, :] >= least[:, None]).sum()) - number
    return (1 + pairs / (number - 1)) / (1 + number)
