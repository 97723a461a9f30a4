"""At which optimiser steps a run is measured."""

import operator
from collections.abc import Sequence
from typing import Any

MANTISSAS = (1, 2, 3, 5, 7)
FIRST = 10
"""The first step after 0 that is measured: before it little happens."""


class EvenlySpaced(Sequence[int]):
    """Every n-th step, and the last one; no list of them, as a run may have any number of steps.

    >>> list(EvenlySpaced(25, 10))
    [10, 20, 25]
    """

    def __init__(self, num_steps: int, every: int) -> None:
        self.num_steps, self.every = num_steps, every
        self.steps = range(every, num_steps, every)

    def __len__(self) -> int:
        return len(self.steps) + 1

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = operator.index(place)
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        return self.steps[place] if place < len(self.steps) else self.num_steps

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EvenlySpaced) and (self.num_steps, self.every) == (
            other.num_steps,
            other.every,
        )

    def __hash__(self) -> int:
        return hash((self.num_steps, self.every))


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
