"""Bounds and capacity measures of a trained network, for the end of an ordinary run."""

import torch

from gaplab.assembly import build_run
from gaplab.config.measures import Measures, points_are_independent
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.metrics.bounds import Bound
from gaplab.metrics.capacity.table import capacity_measures
from gaplab.metrics.certificates import counting_bounds, pac_bayes_certificate
from gaplab.tasks.classification import Classifier
from gaplab.tasks.task import Task

MEASURE_SEED = 0


def final_measures(config: Config, task: Task, data: PointDataModule) -> tuple[list[Bound], dict[str, float]]:
    """Return bounds and capacity measures of the weights that ``task`` has now, in eval mode.

    Bounds are left out where their assumption fails: points on a grid, or wrong labels in training only. The
    initial weights, which the PAC-Bayes prior and the distances need, are drawn again from their seed.
    """
    bounds: list[Bound] = []
    capacity: dict[str, float] = {}
    if config.measures is Measures.none or not isinstance(task, Classifier):
        return bounds, capacity
    network, train = task.network.eval(), data.splits["train"]
    independent = points_are_independent(config.data)
    if independent:
        bounds += counting_bounds(network, len(train), len(data.splits["test"]))
    if config.measures is Measures.full:
        generator = torch.Generator(train.points.device).manual_seed(MEASURE_SEED)
        fresh = build_run(config)[1]
        assert isinstance(fresh, Classifier), "the same configuration builds the same task"
        initial = {
            name: parameter.detach().to(train.points) for name, parameter in fresh.network.named_parameters()
        }
        if independent and len(train) >= 8:  # fewer are outside the theorem
            bounds.append(
                pac_bayes_certificate(network, initial, train.points, train.labels, generator=generator)
            )
        capacity = capacity_measures(network, initial, train.points, train.labels, generator=generator)
    return bounds, capacity
