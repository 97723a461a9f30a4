"""At which optimiser steps a run is measured."""

MANTISSAS = (1, 2, 3, 5, 7)
FIRST = 10
"""The first step after 0 that is measured: before it little happens."""


def evenly_spaced(num_steps: int, every: int) -> tuple[int, ...]:
    """Return every n-th step, and the last one.

    >>> evenly_spaced(25, 10)
    (10, 20, 25)
    """
    return (*range(every, num_steps, every), num_steps)


def log_spaced(num_steps: int) -> tuple[int, ...]:
    """Return 0, five steps a decade, and the last one: a longer run is measured at the same steps and at more.

    >>> log_spaced(120)
    (0, 10, 20, 30, 50, 70, 100, 120)
    """
    steps, power = [0], FIRST
    while power < num_steps:
        steps += [power * mantissa for mantissa in MANTISSAS if power * mantissa < num_steps]
        power *= 10
    return (*steps, num_steps)
