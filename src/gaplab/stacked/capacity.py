"""Bounds and capacity measures of the models of an ensemble, many at once where that is possible."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gaplab.callbacks.measures import FinalMeasures, measure_noise
from gaplab.config.measures import Measures
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule, Split
from gaplab.metrics.capacity.table import stacked_capacity_measures
from gaplab.stacked.classifiers import StackedClassifiers
from gaplab.stacked.stacking import unstack
from gaplab.tasks.classifier import Classifier
from gaplab.tasks.task import Task

MEASURED_AT_ONCE = 4
"""Networks whose measures are computed together; more would leave the cache of a CPU."""
Weights = dict[str, Tensor]


def measure_models(
    ensemble: StackedClassifiers,
    built: Sequence[tuple[PointDataModule, Task]],
    indices: Sequence[int],
    rebuild: Callable[[Config], Task],
) -> dict[int, FinalMeasures]:
    """Return what every run asks for of its last weights, by its index.

    Args:
        ensemble: Holds the weights.
        built: Data and task of every model; the task takes the weights.
        indices: The models to measure.
        rebuild: Builds the task of a configuration with its initial weights.
    """
    found: dict[int, FinalMeasures] = {}
    capacities = _capacities(ensemble, built, indices)
    for index in indices:
        data, task = built[index]
        assert isinstance(task, Classifier), "checked when it was built"
        task.to(ensemble.device)
        task.network.load_state_dict(unstack(ensemble.stacked_optimizers[0].params, index))
        config = ensemble.members[index].config
        level = Measures.bounds if index in capacities else config.measures
        found[index] = FinalMeasures(level, lambda config=config: rebuild(config))  # type: ignore[misc]
        found[index].measure(task, data)
        found[index].capacity |= capacities.get(index, {})
    return found


def _capacities(
    ensemble: StackedClassifiers, built: Sequence[tuple[PointDataModule, Task]], indices: Sequence[int]
) -> dict[int, dict[str, float]]:
    """The capacity measures of the models that ask for no more than these."""
    chosen = [i for i in indices if ensemble.members[i].config.measures is Measures.capacity]
    if not chosen:
        return {}
    task = built[chosen[0]][1]
    assert isinstance(task, Classifier), "checked when it was built"
    weights = [unstack(ensemble.stacked_optimizers[0].params, index) for index in chosen]
    initial = [_on(ensemble.device, ensemble.functions.params[index]) for index in chosen]
    train = [ensemble.splits[index]["train"] for index in chosen]
    return dict(zip(chosen, measure_stacked(task.network, weights, initial, train), strict=True))


def _on(device: torch.device, weights: Weights) -> Weights:
    return {name: tensor.to(device) for name, tensor in weights.items()}


def measure_stacked(
    network: nn.Module, weights: Sequence[Weights], initial: Sequence[Weights], train: Sequence[Split]
) -> list[dict[str, float]]:
    """The capacity measures at level ``capacity`` of equal networks at once: what each would get alone.

    Args:
        network: Gives the shape.
        weights: Parameters of each network, and
        initial: those before training.
        train: Training points of each; their numbers may differ.
    """
    network = copy.deepcopy(network).eval()
    found: list[dict[str, float]] = [{} for _ in weights]
    for size in {len(split) for split in train}:
        rows = [index for index, split in enumerate(train) if len(split) == size]
        table = stacked_capacity_measures(
            network,
            _stack([weights[row] for row in rows]),
            _stack([initial[row] for row in rows]),
            torch.stack([train[row].points for row in rows]),
            torch.stack([train[row].labels for row in rows]),
            generator=measure_noise(train[rows[0]].points.device),
            chunk_size=MEASURED_AT_ONCE,
        )
        for name, values in table.items():
            for row, value in zip(rows, values.tolist(), strict=True):
                found[row][name] = value
    return found


def _stack(tables: Sequence[Weights]) -> Weights:
    return {name: torch.stack([table[name] for table in tables]) for name in tables[0]}
