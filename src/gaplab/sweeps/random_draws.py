"""Random search: values drawn for the words of a multirun that name an interval or a choice."""

import math
import random
from collections.abc import Sequence

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override

from gaplab.errors import ConfigError

DIGITS = 6
"""Significant digits of a drawn number, so that the names of runs stay readable."""


def is_drawn(override: Override) -> bool:
    """Whether a word names values to draw from; lists and ranges are gone through."""
    value = override.value()
    return isinstance(value, IntervalSweep) or (isinstance(value, ChoiceSweep) and not value.simple_form)


def draw(overrides: Sequence[Override], draws: int, seed: int) -> list[list[str]]:
    """Return the words of every draw, each only once.

    A key has a stream of its own: more draws, other keys or another order of the words leave the draws of a key as
    they are.

    Args:
        overrides: Words that ``is_drawn``.
        draws: How often to draw.
        seed: Together with a key it determines the values.

    Raises:
        ConfigError: For an interval that has no inside, or whose logarithm is not finite.
    """
    columns = [
        _values(override, draws, random.Random(f"{seed} {override.key_or_group}")) for override in overrides
    ]
    return [list(words) for words in dict.fromkeys(zip(*columns, strict=True))]


def _values(override: Override, draws: int, stream: random.Random) -> list[str]:
    key, value = override.get_key_element(), override.value()
    if isinstance(value, ChoiceSweep):
        choices = list(override.sweep_string_iterator())
        return [f"{key}={choices[int(stream.random() * len(choices))]}" for _ in range(draws)]
    assert isinstance(value, IntervalSweep), "nothing else is drawn"
    return [f"{key}={_between(override.key_or_group, value, stream.random())}" for _ in range(draws)]


def _between(key: str, interval: IntervalSweep, share: float) -> str:
    """Return the number that lies at a share in [0, 1) of the way through an interval, whole or as a decimal."""
    low, high = (math.nan if end is None else end for end in (interval.start, interval.end))
    whole, logarithmic = isinstance(low, int) and isinstance(high, int), "log" in interval.tags
    if not -math.inf < low < high < math.inf:
        raise ConfigError(f"{key}: expected interval(LOW,HIGH) with LOW < HIGH, but got {low} and {high}.")
    if logarithmic and low <= 0:
        raise ConfigError(f"{key}: expected a LOW above 0 in tag(log,interval(LOW,HIGH)), but got {low}.")
    end = high + 1 if whole else high
    if logarithmic:
        value = math.exp(math.log(low) + share * (math.log(end) - math.log(low)))
    else:
        value = low + share * (end - low)
    value = min(max(value, low), high)
    return str(math.floor(value)) if whole else repr(float(f"{value:.{DIGITS}g}"))
