"""Numbers and intervals as texts: one format for terminals, run cards and pages."""

import math


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with some decimals, or as a power of ten where those would say nothing.

    >>> number(0.25), number(0.00001234), number(0.0), number(None)
    ('0.2500', '1.2e-5', '0.0000', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    if 0 < abs(value) < 10.0 ** (1 - digits) or abs(value) >= 1e6:
        return short(value, 2)
    return f"{value:.{digits}f}"


def short(value: float, digits: int = 3) -> str:
    """Return a number with some significant digits; exponents have no zeros in front.

    >>> short(0.98765), short(8.0), short(4.4e-16, 2)
    ('0.988', '8', '4.4e-16')
    """
    if value != 0 and math.isfinite(value) and not 1e-3 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.{digits}g}"


def percent(value: float) -> str:
    """Return a share as a percentage.

    >>> percent(0.9732)
    '97.3 %'
    """
    return f"{100 * value:.1f} %"


def plus_minus(value: float, half_width: float | None, digits: int = 4) -> str:
    """Return a value with half the width of its interval, if it has one."""
    if half_width is None or math.isnan(half_width):
        return number(value, digits)
    return f"{number(value, digits)} ± {number(half_width, digits)}"


def signed(text: str) -> str:
    """Return the text of a number with its sign, also if it is positive."""
    return text if text.startswith(("-", "+")) else f"+{text}"
