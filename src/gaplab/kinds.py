"""What stacked training knows of each kind of task: its ensemble, its charts, and what its runs end with."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gaplab.assembly import build_run
from gaplab.callbacks.curves import Layout, charts_of_classifier
from gaplab.callbacks.measures import FinalMeasures
from gaplab.callbacks.samples import CHARTS_OF_GAN
from gaplab.callbacks.stacked_measures import measure_models
from gaplab.data.datamodule import PointDataModule
from gaplab.ensembles.classifiers import ClassifierEnsemble
from gaplab.ensembles.ensemble import Ensemble
from gaplab.ensembles.generators import GeneratorEnsemble
from gaplab.ensembles.stacking import unstack
from gaplab.runs.results import Result
from gaplab.tasks.classification import Classifier
from gaplab.tasks.generation import AdversarialTask
from gaplab.tasks.task import Task

Built = Sequence[tuple[PointDataModule, Any]]


class Kind(NamedTuple):
    """One kind of task."""

    ensemble: Callable[..., Ensemble]
    charts: Layout
    conclude: Callable[[Result, Ensemble, int, PointDataModule, Any], None]
    """Fills in the tables of one run's result: ``(result, ensemble, index, data, task)``."""
    measure: Callable[[Any, Built, Sequence[int]], dict[int, FinalMeasures]]
    """Measures the last weights of some runs: ``(ensemble, data and task of each run, indices)``."""


def conclude_classifier(
    result: Result, ensemble: Ensemble, index: int, data: PointDataModule, task: Classifier
) -> None:
    """Take the tables from the curves, as the last weights and the best ones were measured there."""
    result.last = result.history[result.step]
    if result.best_step:
        result.best = result.history[result.best_step]


def measure_classifiers(
    ensemble: ClassifierEnsemble, built: Built, indices: Sequence[int]
) -> dict[int, FinalMeasures]:
    """Return bounds and capacity measures of some runs, as far as each asks for them."""
    return measure_models(ensemble, built, indices, lambda config: build_run(config)[1])


def measure_nothing(ensemble: Ensemble, built: Built, indices: Sequence[int]) -> dict[int, FinalMeasures]:
    """Return nothing: the measures are those of classifiers."""
    return {}


def conclude_generator(
    result: Result, ensemble: Ensemble, index: int, data: PointDataModule, task: AdversarialTask
) -> None:
    """Judge the last and the best weights thoroughly.

    Raises:
        DivergedError: If the generator draws anything but finite points.
    """
    task.load_state_dict(unstack(ensemble.weights(), index))
    result.last = task.measure(data, result.step, thorough=True)
    if result.best_step:
        task.load_state_dict(unstack(ensemble.best, index))
        result.best = task.measure(data, result.step, thorough=True)


KINDS: dict[type[Task], Kind] = {
    Classifier: Kind(
        ClassifierEnsemble, charts_of_classifier(subruns=False), conclude_classifier, measure_classifiers
    ),
    AdversarialTask: Kind(GeneratorEnsemble, CHARTS_OF_GAN, conclude_generator, measure_nothing),
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
