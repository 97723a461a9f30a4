"""Checks of single settings. Every message names the key, what was expected and what came."""

from difflib import get_close_matches
from math import inf

from gaplab.errors import ConfigError


def nearest(word: str, choices: list[str]) -> str:
    """Return `` Did you mean 'x'?`` for the choice most like ``word``, or an empty string."""
    close = get_close_matches(word, choices, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""


def check(condition: bool, key: str, expected: str, value: object, hint: str = "") -> None:
    """Raise ``ConfigError`` with a uniform text unless ``condition`` holds."""
    if not condition:
        advice = f" {hint}" if hint else ""
        raise ConfigError(f"{key}: expected {expected}, but got {value!r}.{advice}")


def check_positive(key: str, value: float, hint: str = "") -> None:
    check(0 < value < inf, key, "a finite number larger than 0", value, hint)


def check_not_negative(key: str, value: float, hint: str = "") -> None:
    check(0 <= value < inf, key, "a finite number that is 0 or larger", value, hint)


def check_share(key: str, value: float, hint: str = "") -> None:
    check(0.0 <= value <= 1.0, key, "a share between 0 and 1", value, hint)


def check_at_least(key: str, value: int, smallest: int, hint: str = "") -> None:
    check(value >= smallest, key, f"a whole number of at least {smallest}", value, hint)


def check_at_most(key: str, value: int, largest: int, hint: str = "") -> None:
    check(value <= largest, key, f"a whole number of at most {largest:_}", value, hint)


def check_waves(section: str, number: int, frequencies: list[float]) -> None:
    """Check the settings of Fourier features: their number, and their slowest and fastest frequency."""
    check_not_negative(f"{section}.fourier_features", number)
    check(
        len(frequencies) == 2 and 0 < frequencies[0] <= frequencies[1] < inf,
        f"{section}.fourier_frequencies",
        "the slowest and the fastest, both larger than 0",
        frequencies,
    )
