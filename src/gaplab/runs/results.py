"""The result of a run: one table for the last and one for the best weights, and published numbers."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gaplab.config.schema import PublishedNumber, Relation
from gaplab.metrics.bounds import Bound
from gaplab.runs.directory import read_json


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
    num_classes: int | None
    """Number of classes; None where there are none."""
    last: dict[str, float]
    """Scorecard of the last weights."""
    best: dict[str, float] | None = None
    """Scorecard of the weights with the smallest validation loss."""
    best_step: int | None = None
    monitor: str = "loss/{split}"
    """Tag of what selected the best weights."""
    wants_more: bool = False
    """Whether a larger value of it is better."""
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    """Bounds for the last weights."""
    measures: dict[str, float] = field(default_factory=dict)
    """Bounds, scales and capacity measures of the last weights, a number a tag."""
    remarks: list[str] = field(default_factory=list)
    """Sentences that belong to the result, such as why it has no bound."""

    @property
    def objective(self) -> float:
        """What a sweep minimises: the monitor on val at the best weights (or the last), on test without validation.

        Of an accuracy it is the negative; where there is neither val nor test, the value on train.
        """
        table = self.last if self.best is None else self.best
        tags = [self.monitor.format(split=split) for split in ("val", "test", "train")]
        value = next(table[tag] for tag in tags if tag in table)
        return -value if self.wants_more else value

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
            "num_classes": self.num_classes,
            "last": self.last,
            "best": self.best,
            "best_step": self.best_step,
            "objective": self.objective,
            "measures": self.measures,
            "bounds": [asdict(bound) | {"vacuous": bound.vacuous} for bound in self.bounds],
            "remarks": self.remarks,
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


def read_objective(path: Path) -> float:
    """Return what a sweep minimises, of a finished run; of a phenomenon the expectations that were not met.

    Raises:
        ConfigError: If the run has left neither a result nor a verdict.
    """
    verdict = path / "verdict.json"
    if verdict.is_file():
        return float(read_json(verdict)["unmet"])
    value = read_json(path / "result.json")["objective"]
    return float("nan") if value is None else float(value)
