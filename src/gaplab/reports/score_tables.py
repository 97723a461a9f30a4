"""The tables that a result ends in, the same on the terminal, in the run card and on the page."""

from collections.abc import Mapping
from typing import Any

from gaplab.metrics.scorecard import half_width
from gaplab.reports.numbers import number, plus_minus, signed
from gaplab.reports.render import Table
from gaplab.tensorboard.tags import SPLITS, draws_samples, split_quantities

GAP = "gap ± 95 %"
BOUNDED = {
    "gap": "error - training error",
    "risk": "error of a noisy copy",
    "test": "|error - test error|",
}


def score_table(result: Mapping[str, Any]) -> Table:
    """Return quantities on train, val and test with their gap, of the last and the best weights.

    Scores that have a ceiling, what a perfect sampler gets at this sample size, stand beside it.
    """
    rows = []
    generates = draws_samples(result["last"])
    for which, step in (("last", result["step"]), ("best", result["best_step"])):
        scores = result[which]
        if scores is None:
            continue
        scores = {tag: value for tag, value in scores.items() if value is not None}
        name = f"{which} (step {step})"
        for quantity in _quantities(scores) if generates else split_quantities(scores):
            cells = _cells(scores, quantity)
            rows.append((name, quantity, *(cells if generates else cells[:-1])))
    columns = ("weights", "quantity", *SPLITS, GAP, *(["ceiling"] if generates else []))
    return Table("Result", columns, rows)


def _cells(scores: dict[str, float], name: str) -> list[str]:
    joint = "/" if f"{name}/train" in scores else "_"
    splits = [scores.get(f"{name}{joint}{split}") for split in SPLITS]
    if splits == [None] * 3:
        splits[2] = scores.get(name)
    gap_name = f"gap/{name.replace('/', '_')}"
    gap = scores.get(gap_name)
    ceiling = scores.get(f"ceiling/{name}", scores.get(f"ceiling/{name}_test"))
    shown = "" if gap is None else signed(plus_minus(gap, half_width(scores, gap_name)))
    return [*("" if value is None else number(value) for value in splits), shown, _or_empty(ceiling)]


def _or_empty(value: float | None) -> str:
    return "" if value is None else number(value)


def _quantities(scores: dict[str, float]) -> list[str]:
    """Return the names of the rows: tags without their split, in order, without gaps and ceilings."""
    names = []
    for tag in scores:
        name, _, split = tag.rpartition("_")
        name = name if split in SPLITS else tag
        if not tag.startswith(("gap/", "ceiling/")) and name not in names:
            names.append(name)
    return names


def bound_table(result: Mapping[str, Any]) -> Table:
    """Return a row for each bound: what lies below it, how surely, and whether it says anything."""
    rows = []
    for bound in result.get("bounds", ()):
        kind = "test" if bound["name"].startswith("hoeffding") else bound["quantity"]
        says = "vacuous: known without data" if bound["vacuous"] else "informative"
        confidence = f"{100 * (1 - bound['delta']):.3g} %" if bound["rigorous"] else "not rigorous"
        rows.append((bound["name"], BOUNDED[kind], number(bound["value"]), confidence, says))
    return Table("Bounds, last weights", ("bound", "what is at most", "value", "confidence", ""), rows)


def measure_tables(result: Mapping[str, Any]) -> list[Table]:
    """Return scales of the gap and capacity measures of the last weights."""
    tables = []
    for kind, title in (("scale/", "Further scales of the gap (not bounds)"), ("capacity/", "Capacity")):
        found = {tag: value for tag, value in result.get("measures", {}).items() if tag.startswith(kind)}
        if found:
            rows = [(tag.removeprefix(kind), number(value)) for tag, value in found.items()]
            tables.append(Table(f"{title}, last weights", ("measure", "value"), rows, folded=True))
    return tables


def further_numbers(result: Mapping[str, Any]) -> Table:
    """Return the scores that are neither on a split nor a bound, and the size of the run."""
    scores = result["best"] or result["last"]
    rows = []
    if not draws_samples(scores):
        quantities = split_quantities(scores)
        split = {f"{quantity}/{name}" for quantity in quantities for name in SPLITS}
        split |= {f"gap/{name.replace('/', '_')}{end}" for name in quantities for end in ("", "_error")}
        rows = [(tag, number(value)) for tag, value in scores.items() if tag not in split]
    rows.append(("parameters N", str(result["num_parameters"])))
    rows.append(("training points m", str(result["num_train_points"])))
    return Table("Further numbers (a scale is not a bound)", ("quantity", "value"), rows, folded=True)


def published_table(result: Mapping[str, Any]) -> Table:
    """Return published numbers beside the measured ones."""
    rows = [
        (n["name"], number(n["published"]), number(n["measured"]), "met" if n["met"] else "not met")
        for n in result["published"]
    ]
    return Table("Published numbers", ("name", "published", "measured", ""), rows)
