"""The table that a GAN's run ends with."""

from rich.console import Console
from rich.table import Table

from gaplab.config.schema import Relation
from gaplab.runs.results import Comparison, Result

SPLITS = ("train", "val", "test")


def print_generation(scores: dict[str, float], title: str, console: Console) -> None:
    """Print each score beside its ceiling, scores of several splits in one row, and the gaps."""
    table = Table(title=title)
    for column in ("quantity", *SPLITS, "gap", "ceiling"):
        table.add_column(column, justify="left" if column == "quantity" else "right", no_wrap=True)
    for name in _quantities(scores):
        gap_name = f"gap/{name.replace('/', '_')}"
        splits = [scores.get(f"{name}_{split}") for split in SPLITS]
        if splits == [None] * 3:
            splits[2] = scores[name]
        gap = scores.get(gap_name)
        error = scores.get(f"{gap_name}_error")
        ceiling = scores.get(f"ceiling/{name}", scores.get(f"ceiling/{name}_test"))
        shown = "" if gap is None else f"{gap:+.4f}" + ("" if error is None else f" ± {error:.0e}")
        table.add_row(name, *(_number(value) for value in splits), shown, _number(ceiling))
    console.print(table)
    console.print("Ceiling: what a perfect sampler gets at this sample size.", highlight=False)


def _quantities(scores: dict[str, float]) -> list[str]:
    """Return the names of the rows: tags without their split, in order, without gaps and ceilings."""
    names = []
    for tag in scores:
        name, _, split = tag.rpartition("_")
        name = name if split in SPLITS else tag
        if not tag.startswith(("gap/", "ceiling/")) and name not in names:
            names.append(name)
    return names


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"


def print_result(result: Result, console: Console) -> None:
    """Print the table that a run ends with."""
    if "gap/loss" in result.last:
        _print_splits(result, console)
    else:
        print_generation(result.last, f"{result.num_parameters} parameters, {result.step} steps", console)
    for comparison in result.comparisons:
        _print_comparison(comparison, console)


def _print_splits(result: Result, console: Console) -> None:
    """Print losses and accuracies of all splits, and their gaps."""
    table = Table(title=f"{result.num_parameters} parameters, {result.num_train_points} training points")
    for column in ("weights", "quantity", "train", "val", "test", "gap"):
        table.add_column(column, justify="left" if column in ("weights", "quantity") else "right")
    rows = [(f"last (step {result.step})", result.last)]
    if result.best is not None:
        rows.append((f"best (step {result.best_step})", result.best))
    for name, scores in rows:
        for quantity, digits in (("loss", 4), ("accuracy", 4)):
            shown = [
                f"{scores[f'{quantity}/{split}']:.{digits}f}" if f"{quantity}/{split}" in scores else "-"
                for split in ("train", "val", "test")
            ]
            gap, error = scores[f"gap/{quantity}"], scores[f"gap/{quantity}_error"]
            table.add_row(name if quantity == "loss" else "", quantity, *shown, f"{gap:+.4f} ± {error:.4f}")
    console.print(table)
    scale = result.last["scale/sqrt_params_over_points"]
    console.print(f"Heuristic scale sqrt(N/m) = {scale:.3f} (not a bound).", highlight=False)
    for bound in result.bounds:
        what = "|test error - error|" if bound.name.startswith("hoeffding") else _BOUNDED[bound.quantity]
        console.print(
            f"Bound {bound.name}: {what} <= {bound.value:.4g} with probability {1 - bound.delta:.0%}"
            f"{' (vacuous)' if bound.vacuous else ''}.",
            highlight=False,
        )
    for kind, title in (("scale/", "further scales of the gap (not bounds)"), ("capacity/", "capacity")):
        found = {tag: value for tag, value in result.measures.items() if tag.startswith(kind)}
        if found:
            measures = Table(f"{title}, last weights", "value")
            for tag, value in found.items():
                measures.add_row(tag.removeprefix(kind), f"{value:.5g}")
            console.print(measures)


_BOUNDED = {"gap": "error - training error", "risk": "error of a noisy copy"}


def _print_comparison(comparison: Comparison, console: Console) -> None:
    number = comparison.published
    at = f" at step {number.step}" if number.step is not None else ""
    measured = "not measured" if comparison.measured is None else f"{comparison.measured:.6g}"
    verdict = "[green]met[/green]" if comparison.met else "[red]not met[/red]"
    wanted = {
        Relation.near: f"{number.value:.6g} ± {number.tolerance:g}",
        Relation.at_most: f"at most {number.value:.6g}",
        Relation.at_least: f"at least {number.value:.6g}",
    }[number.relation]
    source = f" ({number.source})" if number.source else ""
    console.print(
        f"Published {number.name}{at}: {wanted}{source}; measured {measured}: {verdict}", highlight=False
    )
