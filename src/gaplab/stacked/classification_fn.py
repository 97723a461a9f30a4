"""Classifiers as pure functions of stacked weights: the loss and the scores of ``tasks.classifier``."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gaplab.config.schema import Config
from gaplab.config.task import ClassificationConfig
from gaplab.losses.augmentation import augmented_losses
from gaplab.losses.classification import cross_entropy, over_members
from gaplab.networks import Dropout, draw_dropout_masks
from gaplab.networks.committee import Committee
from gaplab.randomness import make_generator
from gaplab.stacked.purity import refuse_impure, running_buffers
from gaplab.stacked.stacked_optimizer import DrawBuffers
from gaplab.stacked.step import Loss
from gaplab.stacked.update_rules import Params
from gaplab.tasks.classifier import Classifier

Score = Callable[[Params, Tensor, Tensor], tuple[Tensor, Tensor]]
"""``score(params, points, labels)`` of one model, of parameters and buffers: losses [P] and hits [P], in eval mode."""


@dataclass(slots=True)
class ClassifierFunctions:
    """K classifiers as pure functions. Each dictionary in ``params`` belongs to one model."""

    params: list[Params]
    running: list[Params]
    """Buffers that training may change, such as the running statistics of BatchNorm."""
    loss: Loss
    score: Score
    loss_coefficients: dict[str, Tensor]
    """Numbers [K] that the loss reads."""
    draw: DrawBuffers | None


def classifier_functions(
    configs: Sequence[Config], tasks: Sequence[Classifier], dtype: torch.dtype, shape: Any
) -> ClassifierFunctions:
    """Return the classifiers of one group as pure functions. They keep their networks, which draw the masks.

    Args:
        configs: The configuration of each run.
        tasks: Its task, which is converted to ``dtype``.
        dtype: Precision of weights and points.
        shape: Of one point.

    Raises:
        ValueError: If a network cannot be a pure function of its parameters and buffers.
    """
    for task in tasks:
        task.to(dtype)
    first = tasks[0]
    refuse_impure(first.network)
    smoothing = [_smoothing(config) for config in configs]
    loss_fn = cross_entropy_of_classes if first.score_fn is cross_entropy else first.score_fn
    return ClassifierFunctions(
        params=[{name: p.detach() for name, p in task.network.named_parameters()} for task in tasks],
        running=[running_buffers(task.network) for task in tasks],
        loss=_training_loss(copy.deepcopy(first.network).train(), loss_fn, any(smoothing)),
        score=_scoring(copy.deepcopy(first.network).eval(), loss_fn),
        loss_coefficients={"label_smoothing": torch.tensor(smoothing, dtype=dtype)},
        draw=_drawing(configs, tasks, dtype, shape) if first.uses_dropout or first.augmentation else None,
    )


def _smoothing(config: Config) -> float:
    assert isinstance(config.task, ClassificationConfig), "grouping.obstacle lets only classifiers pass"
    return config.task.label_smoothing


def _training_loss(network: nn.Module, loss_fn: Callable[[Tensor, Tensor], Tensor], smooths: bool) -> Loss:
    def loss(
        params: Params,
        running: Params,
        buffers: Params,
        batch: tuple[Tensor, Tensor, Tensor, Tensor],
        loss_coefficients: Params,
    ) -> tuple[Tensor, Params]:
        points, labels, mask, size = batch
        masks = {name: tensor for name, tensor in buffers.items() if " " not in name}
        # Copies, which the network may change in place; what it puts in their place comes back in the same dictionary.
        tensors = params | {name: buffer.clone() for name, buffer in running.items()} | masks

        def smoothed(logits: Tensor, labels: Tensor) -> Tensor:
            # A smoothing of its own for every model: the mixture of the two targets, by linearity.
            even = cross_entropy(logits, labels, label_smoothing=1.0)
            return torch.lerp(loss_fn(logits, labels), even, loss_coefficients["label_smoothing"])

        own = smoothed if smooths else loss_fn
        own = over_members(own) if isinstance(network, Committee) else own
        logits: Any = partial(functional_call, network, tensors)
        losses = augmented_losses(logits, own, points, labels, buffers)
        return (losses * mask).sum() / size, {name: tensors[name].detach() for name in running}

    return loss


def _scoring(
    network: nn.Module, loss_fn: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Params, Tensor, Tensor], tuple[Tensor, Tensor]]:
    def score(params: Params, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits: Any = functional_call(network, params, (points,))
        return loss_fn(logits, labels), is_first_maximum(logits, labels)

    return score


def cross_entropy_of_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Return ``cross_entropy`` in the same bits, without a look for labels to ignore: data have none."""
    return -logits.log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1)


def is_first_maximum(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether ``argmax`` of logits [P, C] is the label [P]; this fuses with what comes before, ``argmax`` not."""
    # In float32, of which a vector holds twice as many as of labels.
    classes = torch.arange(logits.shape[1], device=labels.device, dtype=torch.float32)
    at_maximum = logits == logits.amax(dim=1, keepdim=True)
    return torch.where(at_maximum, classes, torch.inf).amin(dim=1) == labels.to(torch.float32)


def _drawing(
    configs: Sequence[Config], tasks: Sequence[Classifier], dtype: torch.dtype, shape: Any
) -> Callable[[int, int, int], Params]:
    names = [name for name, module in tasks[0].network.named_modules() if isinstance(module, Dropout)]
    rates = [getattr(config.network, "dropout", None) for config in configs]
    drawn: dict[tuple[int, Any, Any, int, int], Params] = {}

    def draw(model: int, step: int, num_points: int) -> Params:
        """The masks and the augmentation of one step; models of equal seed and settings share what is drawn once."""
        seed, task = configs[model].train_seed, tasks[model]
        key = seed, rates[model], task.augmentation, step, num_points
        if drawn and next(iter(drawn))[3] != step:
            drawn.clear()
        if key not in drawn:
            network = task.network
            if names:
                draw_dropout_masks(network, num_points, make_generator(seed, "dropout", step))
            found = {f"{name}.mask": network.get_buffer(f"{name}.mask") for name in names}
            if task.augmentation:
                generator = make_generator(seed, "losses", step)
                found |= task.augmentation.draw(num_points, shape, dtype, generator)
            drawn[key] = found
        return drawn[key]

    return draw
