"""The pictures of a classifier, by name; each is drawn only when it is called for."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gaplab.data.datamodule import PointDataModule
from gaplab.data.loader import SplitLoader
from gaplab.data.splits import Split
from gaplab.figures.confusion import confusion_counts, draw_confusion_matrix
from gaplab.figures.decision_regions import (
    draw_confidence,
    draw_decision_regions,
    draw_mistakes,
    grid_points,
    window,
)
from gaplab.figures.image_grid import draw_image_grid, mistakes_first
from gaplab.figures.landscape import draw_landscape, scaled_direction, slice_losses
from gaplab.figures.layers import Stage, draw_layers
from gaplab.networks.hidden_outputs import hidden_outputs
from gaplab.randomness import make_generator
from gaplab.tasks.classifier import Classifier

Render = Callable[[], Tensor]
"""Returns pixels [H, W, 3] uint8."""

SHOWN_POINTS = 500
SHOWN_IMAGES = 50
LANDSCAPE_POINTS = 300
GRID_LINES = 25


def classifier_figures(task: Classifier, data: PointDataModule, step: int) -> dict[str, Render]:
    """Return the pictures of a classifier at an optimiser step; the first one is cheap and tells most.

    Decision regions need points of the plane (and dimensions without meaning); of images a sample is shown.
    """
    train, test = data.splits["train"], data.splits["test"]
    at = f"step {step:,}"

    @functools.cache
    def predicted() -> Tensor:
        chunks = SplitLoader(test.points, test.labels)
        return torch.cat([logits_of(task, points).argmax(dim=1) for points, _ in chunks])

    def confusion() -> Tensor:
        counts = confusion_counts(predicted(), test.labels, data.num_classes)
        return draw_confusion_matrix(counts, title=f"Test points, {at}")

    def landscape() -> Tensor:
        return _landscape(task, thinned(train, LANDSCAPE_POINTS), at)

    def images() -> Tensor:
        chosen = mistakes_first(test.labels, predicted(), SHOWN_IMAGES)
        wrong = int((predicted() != test.labels).sum())
        return draw_image_grid(
            test[chosen].points,
            test.labels[chosen],
            predicted()[chosen],
            title=f"Test images, the {wrong} mistakes of {len(test)} first, {at}",
        )

    if not _in_plane(data):
        figures: dict[str, Render] = {"confusion": confusion}
        if isinstance(data.example_shape, tuple) and len(data.example_shape) == 3:
            figures = {"test_images": images} | figures
        if isinstance(data.example_shape, tuple) and data.example.points.is_floating_point():
            figures["loss_landscape"] = landscape
        return figures

    shown_train, shown_test = thinned(train, SHOWN_POINTS), thinned(test, SHOWN_POINTS)
    predict = predictor(task, data.in_features)

    def regions(split: Split, name: str) -> Tensor:
        title = f"Decision regions, {name} points, {at}"
        return draw_decision_regions(predict, split.points[:, :2], split.labels, title=title)

    def mistakes() -> Tensor:
        wrong = test[predicted() != test.labels]
        title, extent = f"Misclassified test points, {at}", window(shown_test.points[:, :2])
        plane = wrong.points[:, :2]
        return draw_mistakes(predict, plane, wrong.labels, len(test), extent=extent, title=title)

    return {
        "decision_regions_train": lambda: regions(shown_train, "training"),
        "decision_regions_test": lambda: regions(shown_test, "test"),
        "misclassified_test": mistakes,
        "confidence": lambda: draw_confidence(predict, shown_train.points[:, :2], title=f"Confidence, {at}"),
        "confusion": confusion,
        "hidden_layers": lambda: draw_layers(
            layer_stages(task, shown_train, data.in_features),
            shown_train.labels,
            title=f"How the layers stretch the plane, training points, {at}",
        ),
        "loss_landscape": landscape,
    }


def thinned(split: Split, most: int) -> Split:
    """Return every k-th point, at most ``most`` of them."""
    return split[slice(None, None, -(-len(split) // most))]


def predictor(module: nn.Module, in_features: int) -> Callable[[Tensor], Tensor]:
    """Return a function from points [P, 2 or more] to class probabilities [P, C], in eval mode.

    Features beyond those given (``data.noise_dimensions``) are 0, which is their mean.
    """
    parameter = next(module.parameters())

    def predict(points: Tensor) -> Tensor:
        return logits_of(module, _padded(points, in_features).to(parameter)).softmax(dim=1).float().cpu()

    return predict


@torch.no_grad()
def logits_of(module: nn.Module, points: Tensor) -> Tensor:
    """Return the outputs [P, C] of a module in eval mode; it is left in the mode that it had."""
    training = module.training
    module.eval()
    logits: Tensor = module(points)
    module.train(training)
    return logits


def layer_stages(task: Classifier, split: Split, in_features: int) -> dict[str, Stage]:
    """Return grid and points at the input, after each hidden layer and at the output."""
    parameter = next(task.parameters())
    plane = split.points[:, :2].to(parameter)
    grid = grid_points(window(plane, margin=0.0), GRID_LINES, plane.device).to(parameter)
    flat = torch.cat((_padded(grid.view(-1, 2), in_features), split.points.to(parameter)))
    outputs = hidden_outputs(task, task, flat)
    named = {f"hidden layer {number}": layer for number, layer in enumerate(outputs.values(), start=1)}
    stages = {"input": Stage(grid, plane)}
    for name, layer in (named | {"logits": logits_of(task, flat)}).items():
        on_grid = layer[: GRID_LINES**2].view(GRID_LINES, GRID_LINES, -1)
        stages[name] = Stage(on_grid, layer[GRID_LINES**2 :])
    return stages


def _landscape(task: Classifier, split: Split, at: str) -> Tensor:
    parameters = {name: parameter.detach() for name, parameter in task.network.named_parameters()}
    buffers = dict(task.network.named_buffers())
    points = split.points.to(next(iter(parameters.values())))
    first, second = (scaled_direction(parameters, make_generator(0, "landscape", i)) for i in range(2))
    training = task.training
    task.eval()
    losses = slice_losses(
        lambda values: task.score_fn(
            functional_call(task.network, values | buffers, points), split.labels
        ).mean(),
        parameters,
        first,
        second,
    )
    task.train(training)
    return draw_landscape(losses, title=f"Training loss around the weights, {at}")


def _in_plane(data: PointDataModule) -> bool:
    """Whether points are those of the plane, beside dimensions without meaning."""
    return data.example_shape == (2 + data.config.noise_dimensions,)


def _padded(points: Tensor, in_features: int) -> Tensor:
    return torch.nn.functional.pad(points, (0, in_features - points.shape[1]))
