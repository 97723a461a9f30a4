"""The result of a run: one table for the last and one for the best weights, and published numbers."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from gaplab.config.schema import PublishedNumber, Relation
from gaplab.metrics.bounds import Bound
from gaplab.runs.generation_table import print_generation


@dataclass(slots=True)
class Comparison:
    """A published number beside the measured one."""

    published: PublishedNumber
    measured: float | None

    @property
    def met(self) -> bool:
        if self.measured is None:
            return False
        difference = self.measured - self.published.value
        match self.published.relation:
            case Relation.near:
                return abs(difference) <= self.published.tolerance
            case Relation.at_most:
                return difference <= self.published.tolerance
            case Relation.at_least:
                return difference >= -self.published.tolerance


@dataclass(slots=True)
class Result:
    """What a run found."""

    step: int
    epochs: float
    num_parameters: int
    num_train_points: int
    last: dict[str, float]
    """Scorecard of the last weights."""
    best: dict[str, float] | None = None
    """Scorecard of the weights with the smallest validation loss."""
    best_step: int | None = None
    criterion: str = "loss/{split}"
    """Tag of what selected the best weights."""
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    """Bounds for the last weights."""
    measures: dict[str, float] = field(default_factory=dict)
    """Bounds, scales and capacity measures of the last weights, a number a tag."""

    @property
    def objective(self) -> float:
        """What a sweep minimises: the criterion on val at the best weights, or on test without validation."""
        if self.best is None:
            return self.last[self.criterion.format(split="test")]
        return self.best[self.criterion.format(split="val")]

    def compare(self, published: list[PublishedNumber]) -> None:
        """Look up the measured value of each published number."""
        facts = {"epochs": self.epochs, "steps": float(self.step)}
        for number in published:
            table = self.last if number.step is None else self.history.get(number.step, {})
            self.comparisons.append(Comparison(number, (table | facts).get(number.name)))

    def as_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "epochs": self.epochs,
            "num_parameters": self.num_parameters,
            "num_train_points": self.num_train_points,
            "last": self.last,
            "best": self.best,
            "best_step": self.best_step,
            "objective": self.objective,
            "measures": self.measures,
            "bounds": [asdict(bound) | {"vacuous": bound.vacuous} for bound in self.bounds],
            "published": [
                {
                    "name": c.published.name,
                    "step": c.published.step,
                    "published": c.published.value,
                    "tolerance": c.published.tolerance,
                    "relation": c.published.relation.value,
                    "measured": c.measured,
                    "met": c.met,
                    "source": c.published.source,
                }
                for c in self.comparisons
            ],
        }


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
