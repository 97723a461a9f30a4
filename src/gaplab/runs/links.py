"""Addresses that open TensorBoard where it matters."""

import re
from urllib.parse import quote

HOME = "http://127.0.0.1:6006/"
"""TensorBoard's default address; it listens on this machine only."""

SPLITS_IN_COLOURS = "^(loss|accuracy)$|^gap/(loss|accuracy)$"
"""The charts that matter of a run with sub-runs."""
SPLITS_BY_TAG = "^(loss|accuracy)/(train|val|test)$|^gap/(loss|accuracy)$"
"""The same of a run without."""


def deep_link(run: str = "", tags: str = SPLITS_BY_TAG, home: str = HOME) -> str:
    """Return the address of the Time Series page with the charts of some tags, without smoothing.

    Args:
        run: The last part of a run's name; all runs if empty.
        tags: A regular expression.
        home: Where TensorBoard answers.
    """
    query = f"smoothing=0&tagFilter={quote(tags, safe='')}"
    if run:
        query += f"&runFilter={quote(f'(^|/){re.escape(run)}(/|$)', safe='')}"
    return f"{home}?{query}#timeseries"
