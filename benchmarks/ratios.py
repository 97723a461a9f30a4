"""Interleaved timing of a candidate against its reference, and one printed line a ratio."""

import time
from collections.abc import Callable


def interleaved(candidate: Callable[[], float], reference: Callable[[], float], repeats: int) -> float:
    """Return the ratio of the smallest times of two functions that are called in turn.

    Taking turns exposes both to the same load of the machine, and the smallest time is the one that was
    disturbed least.
    """
    pairs = [(candidate(), reference()) for _ in range(repeats)]
    return min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs)


def seconds(function: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def show(name: str, ratio: float, target: float, *, at_least: bool = False) -> bool:
    """Print a ratio beside its target; return whether it is met."""
    met = ratio >= target if at_least else ratio <= target
    bound = "at least" if at_least else "at most"
    print(f"{name:62} {ratio:9.2f}   {bound} {target:g}: {'met' if met else 'NOT MET'}", flush=True)
    return met
