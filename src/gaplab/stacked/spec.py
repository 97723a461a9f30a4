"""What stacked training knows of each kind of task: its ensemble, its constants, and what its runs end with."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gaplab.builders import build_data_and_task
from gaplab.callbacks.measures import FinalMeasures, bound_lines
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.runs.results import Result
from gaplab.stacked.capacity import measure_models
from gaplab.stacked.classifiers import StackedClassifiers
from gaplab.stacked.ensemble import Ensemble
from gaplab.stacked.gans import StackedGANs
from gaplab.stacked.stacking import unstack
from gaplab.tasks.classifier import Classifier
from gaplab.tasks.gan import GAN
from gaplab.tasks.task import Task

Built = Sequence[tuple[PointDataModule, Any]]


class Kind(NamedTuple):
    """One kind of task."""

    ensemble: Callable[..., Ensemble]
    lines: Callable[[Config, PointDataModule, Any], dict[str, float]]
    """What stays the same in training and is shown beside every measurement: ``(config, data, task)``."""
    conclude: Callable[[Result, Ensemble, int, PointDataModule, Any], None]
    """Fills in the tables of one run's result: ``(result, ensemble, index, data, task)``."""
    measure: Callable[[Any, Built, Sequence[int]], dict[int, FinalMeasures]]
    """Measures the last weights of some runs: ``(ensemble, data and task of each run, indices)``."""


def bounds_of_classifier(config: Config, data: PointDataModule, task: Classifier) -> dict[str, float]:
    """Return the bounds that only count points and parameters."""
    return bound_lines(config.measures, data, task.network)


def no_lines(config: Config, data: PointDataModule, task: GAN) -> dict[str, float]:
    """Return nothing: no score of a GAN is known before it trains."""
    return {}


def conclude_classifier(
    result: Result, ensemble: Ensemble, index: int, data: PointDataModule, task: Classifier
) -> None:
    """Take the tables from the curves, as the last weights and the best ones were measured there."""
    result.last = result.history[result.step]
    if result.best_step:
        result.best = result.history[result.best_step]


def measure_classifiers(
    ensemble: StackedClassifiers, built: Built, indices: Sequence[int]
) -> dict[int, FinalMeasures]:
    """Return bounds and capacity measures of some runs, as far as each asks for them."""
    return measure_models(ensemble, built, indices, lambda config: build_data_and_task(config)[1])


def measure_nothing(ensemble: Ensemble, built: Built, indices: Sequence[int]) -> dict[int, FinalMeasures]:
    """Return nothing: the measures are those of classifiers."""
    return {}


def conclude_generator(
    result: Result, ensemble: Ensemble, index: int, data: PointDataModule, task: GAN
) -> None:
    """Judge the last and the best weights thoroughly.

    Raises:
        DivergedError: If the generator draws anything but finite points.
    """
    task.load_state_dict(unstack(ensemble.weights(), index))
    result.last = task.measure(data, result.step, full=True)
    if result.best_step:
        task.load_state_dict(unstack(ensemble.best, index))
        result.best = task.measure(data, result.step, full=True)


KINDS: dict[type[Task], Kind] = {
    Classifier: Kind(StackedClassifiers, bounds_of_classifier, conclude_classifier, measure_classifiers),
    GAN: Kind(StackedGANs, no_lines, conclude_generator, measure_nothing),
}


def kind_of(tasks: Sequence[Task]) -> Kind:
    """Return the kind of the tasks of one group.

    Raises:
        ValueError: If they are of a class that has no stacked form.
    """
    for task in tasks:
        if type(task) not in KINDS:
            raise ValueError(f"the task {type(task).__name__} has no stacked form")
    return KINDS[type(tasks[0])]
