"""The curves of a run that tell of generalization: a quantity on every split, and its gap with an interval."""

from dataclasses import dataclass

from gaplab.metrics.scorecard import half_width
from gaplab.tensorboard.read_curves import History

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class GapCurve:
    """One quantity over the steps at which it was measured on train and test, and its gap."""

    quantity: str
    """Its tag without the split, such as ``loss`` or ``distance/sliced_w2``."""
    steps: list[int]
    splits: dict[str, list[float]]
    """Values on train, test and, where there is one, val, at every step."""
    gap: list[float]
    """How much worse the value on test is, at every step."""
    half_widths: list[float] | None
    """Half the widths of the 95 % intervals of the gap, where it has one."""


def gap_curves(history: History) -> list[GapCurve]:
    """Return a curve for every quantity whose gap was measured, in the order of the tags.

    Tags are ``<quantity>/<split>`` or ``<quantity>_<split>``, and ``gap/<quantity>`` without further slashes.
    """
    tags = dict.fromkeys(tag for row in history.values() for tag in row)
    curves = []
    for tag in tags:
        for joint in "/_":
            quantity, found, _ = tag.rpartition(f"{joint}train")
            gap = f"gap/{quantity.replace('/', '_')}"
            if found and tag == f"{quantity}{joint}train" and gap in tags:
                curves += _curve(history, quantity, joint, gap)
    return curves


def _curve(history: History, quantity: str, joint: str, gap: str) -> list[GapCurve]:
    names = {split: f"{quantity}{joint}{split}" for split in SPLITS}
    needed = {names["train"], names["test"], gap}
    rows = {step: row for step, row in history.items() if needed <= row.keys()}
    if not rows:
        return []
    if not all(names["val"] in row for row in rows.values()):
        del names["val"]
    values = {split: [row[name] for row in rows.values()] for split, name in names.items()}
    widths = [half_width(row, gap) for row in rows.values()]
    known = [width for width in widths if width is not None]
    gaps = [row[gap] for row in rows.values()]
    return [GapCurve(quantity, list(rows), values, gaps, known if len(known) == len(rows) else None)]
