"""What the figure of errors, gap and bounds shows of a classifier's result."""

from collections.abc import Mapping
from typing import Any

from gaplab.figures.gap_and_bounds import Mark
from gaplab.figures.palette import GAP, TEST, TRAIN


def bound_marks(result: Mapping[str, Any]) -> list[Mark]:
    """Return errors, gap and bounds of the last weights, from top to bottom; none for other tasks."""
    last = result["last"]
    if last.get("gap/accuracy") is None:
        return []
    radius = last["gap/accuracy_error"]
    marks = [
        Mark("training error", 1 - last["accuracy/train"], TRAIN),
        Mark("test error", 1 - last["accuracy/test"], TEST, radius),
        Mark("gap", last["gap/accuracy"], GAP, radius),
    ]
    for bound in result.get("bounds", ()):
        # Hoeffding's is the interval of the test error.
        if bound["value"] is not None and not bound["name"].startswith("hoeffding"):
            label = f"{bound['name'].replace('_', ' ')} (of the {bound['quantity']})"
            marks.append(Mark(label, bound["value"], vacuous=bound["vacuous"]))
    return marks


def guessing_error(result: Mapping[str, Any]) -> float | None:
    """Return the error of guessing among equally likely classes."""
    num_classes = result.get("num_classes")
    return 1 - 1 / num_classes if num_classes else None
