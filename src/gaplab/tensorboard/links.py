"""Addresses that open TensorBoard where it matters."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

HOME = "http://127.0.0.1:6006/"
"""TensorBoard's default address; it listens on this machine only."""

MOST_SELECTED = 500
"""With more runs in a folder, TensorBoard starts with none of them selected."""
HEADLINE = "Generalization gap"
"""The group of tags with the gaps of a run that has sub-runs: a capital letter sorts before all others."""
OF_A_SUMMARY = f"^{HEADLINE}/|^(loss/(train|test)|accuracy/test|distance/sliced_w2_test|modes/high_quality)$"
"""Means over seeds, without the tags that only draw their bands."""


def headline(gap: str) -> str:
    """Return the tag under which a gap stands first, with the ends of its interval in sub-runs.

    >>> headline("gap/loss")
    'Generalization gap/loss'
    """
    return f"{HEADLINE}/{gap.removeprefix('gap/')}"


def deep_link(run: str = "", tags: str = "", home: str = HOME, pinned: Sequence[str] = ()) -> str:
    """Return the address of the Time Series page with the charts of some tags, without smoothing.

    Args:
        run: The last part of a run's name; all runs if empty.
        tags: A regular expression; all tags if empty.
        home: Where TensorBoard answers.
        pinned: Tags whose charts stand above all others.
    """
    query = "smoothing=0"
    if tags:
        query += f"&tagFilter={quote(tags, safe='')}"
    if run:
        query += f"&runFilter={quote(f'(^|/){re.escape(run)}(/|$)', safe='')}"
    if pinned:
        cards = json.dumps([{"plugin": "scalars", "tag": tag} for tag in pinned])
        query += f"&pinnedCards={quote(cards, safe='')}"
    return f"{home}?{query}#timeseries"


def addresses_of_run(run: str, quantities: Sequence[str], subruns: bool, home: str = HOME) -> dict[str, str]:
    """Return the addresses for one run, by what they show.

    Args:
        run: The last part of its name.
        quantities: Quantities whose gap is measured, as ``loss``.
        subruns: Whether it has sub-runs for its splits, which give them colours.
        home: Where TensorBoard answers.
    """
    gaps = [f"gap/{quantity.replace('/', '_')}" for quantity in quantities]
    names = "|".join(map(re.escape, quantities))
    tags = f"^({names})$|^{HEADLINE}/" if subruns else f"^({names})[/_](train|val|test)$|^({'|'.join(gaps)})$"
    pinned = [headline(gap) if subruns else gap for gap in gaps[:1]]
    chosen = quote(run, safe="")
    return {
        "the gap, its bounds and every split": f"{home}#generalization",
        "Time Series, the gap first": deep_link(run, tags, home, pinned)
        if quantities
        else deep_link(run, "", home),
        "the gap with its band": f"{home}#custom_scalars&regexInput={chosen}&_smoothingWeight=0",
        "pictures": f"{home}#images&regexInput={chosen}",
        "the run card": f"{home}#text&regexInput={chosen}",
    }


def addresses_of_sweep(home: str = HOME) -> dict[str, str]:
    """Return the addresses for a sweep, by what they show; other pages are blank with many runs."""
    return {
        "the table by setting": f"{home}#generalization",
        "means over seeds": deep_link("summary", OF_A_SUMMARY, home),
        "with 95 % intervals": f"{home}#custom_scalars&regexInput=summary&_smoothingWeight=0",
        "figures": f"{home}#images&regexInput=summary",
        "the table as text": f"{home}#text&regexInput=summary",
        "all runs": f"{home}#hparams",
    }


def how_to_look(path: Path) -> str:
    """Return the line with which a run or a sweep says how to look at it.

    >>> how_to_look(Path("logs/default/mine"))
    'Look: python -m gaplab.look logs/default/mine'
    >>> how_to_look(Path("my logs/mine"))
    "Look: python -m gaplab.look 'my logs/mine'"
    """
    return f"Look: python -m gaplab.look {shlex.quote(str(path))}"
