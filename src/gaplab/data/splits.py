"""Splits of examples as tensors of any shape: how they are drawn or taken, cut, and spoilt on purpose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from gaplab.config.data import SIZE_KEYS, DataConfig, LabelNoise, SplitMode
from gaplab.data.corruption import append_noise_dimensions, flip_labels
from gaplab.data.validity import check_split
from gaplab.errors import ConfigError
from gaplab.randomness import make_generator

SampleFn = Callable[[str, int], tuple[Tensor, Tensor]]
"""``draw(split, num_points)`` of a law: points [P, ...] and labels [P]; the split selects the random stream."""

Inputs = Any
"""A tensor [P, ...], or a dict of tensors [P, ...]."""

Shape = tuple[int, ...] | dict[str, tuple[int, ...]]
"""Of one point, or of each part of one."""

DEFAULT_SHARE = 0.2
"""Share of val, and of test, where examples come without splits."""


def select(inputs: Inputs, chosen: Any) -> Inputs:
    """Return some rows of a tensor, or of each tensor in a dict."""
    if isinstance(inputs, dict):
        return {name: part[chosen] for name, part in inputs.items()}
    return inputs[chosen]


def converted(inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """Return the tensor, or each tensor of a dict, changed."""
    if isinstance(inputs, dict):
        return {name: change(part) for name, part in inputs.items()}
    return change(inputs)


def to_device(device: torch.device | None, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """Return what moves a tensor to a device (None: it stays) and gives floats a type; whole numbers keep theirs."""

    def change(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    return change


def shape_of(inputs: Inputs) -> Shape:
    """Return the shape of one point."""
    if isinstance(inputs, dict):
        return {name: tuple(part.shape[1:]) for name, part in inputs.items()}
    return tuple(inputs.shape[1:])


def num_features(shape: Shape) -> int:
    """Return the numbers that one point has.

    >>> num_features((3, 8, 8))
    192
    """
    return sum(map(prod, shape.values())) if isinstance(shape, dict) else prod(shape)


@dataclass(slots=True)
class Split:
    """Points [P, ...] (or a dict of such tensors) and labels: int64 [P], or float [P] or [P, T] for real targets."""

    points: Inputs
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Any) -> "Split":
        return Split(select(self.points, chosen), self.labels[chosen])

    def moved(self, change: Callable[[Tensor], Tensor]) -> None:
        """Change every tensor in place of the old one."""
        self.points, self.labels = converted(self.points, change), change(self.labels)


def as_split(name: str, inputs: Any, targets: Any, dtype: torch.dtype = torch.float32) -> Split:
    """Return tensors in the types that networks take.

    Bytes become floats in [0, 1] (pixels); other floats become ``dtype``, whole numbers int64; targets that are floats
    stay real numbers.

    Raises:
        ConfigError: If they are no numbers.
    """
    try:
        inputs = (
            {key: torch.as_tensor(part) for key, part in inputs.items()}
            if isinstance(inputs, Mapping)
            else torch.as_tensor(inputs)
        )
        targets = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"data, {name}: expected tensors or arrays of numbers, but got: {error}."
        ) from error

    def as_input(tensor: Tensor) -> Tensor:
        if tensor.dtype == torch.uint8:
            return tensor.to(dtype) / 255
        return tensor.to(dtype) if tensor.is_floating_point() or tensor.dtype == torch.bool else tensor.long()

    labels = targets.to(dtype) if targets.is_floating_point() else targets.long()
    return Split(converted(inputs, as_input), labels)


def draw_splits(
    config: DataConfig,
    draw: SampleFn,
    num_classes: int,
    data_seed: int,
    dtype: torch.dtype = torch.float32,
) -> tuple[dict[str, Split], dict[str, int]]:
    """Draw the splits from a law, in the order train, val, test; an empty val split is left out.

    Returns:
        The splits, and how many points each has, before folds are cut.

    Raises:
        ConfigError: If what is drawn cannot be trained on.
    """

    def drawn(name: str, size: int, typed: bool) -> Split:
        points, labels = draw(name, size)
        split = _as_drawn(name, points, labels, dtype)
        check_split(name, split, size if typed else None, num_classes)
        return split

    sizes = {name: config.size_of(name) for name in SIZE_KEYS}
    sizes = {name: size for name, size in sizes.items() if size > 0}
    typed = {name: getattr(config, SIZE_KEYS[name]) is not None for name in sizes}
    if config.split_mode is SplitMode.shared:
        whole = drawn("train", sum(sizes.values()), True)
        order = torch.randperm(len(whole), generator=make_generator(data_seed, "split"))
        parts = torch.split(order, list(sizes.values()))
        splits = {name: whole[part] for name, part in zip(sizes, parts, strict=True)}
    else:
        splits = {name: drawn(name, size, typed[name]) for name, size in sizes.items()}
    sizes = {name: len(split) for name, split in splits.items()}
    return _corrupted(config, splits, num_classes, data_seed), sizes


def _as_drawn(name: str, points: Any, labels: Tensor, dtype: torch.dtype) -> Split:
    """Keep what a law returned, but for types that no network takes; labels are checked as they are."""
    if isinstance(points, Tensor) and points.dtype == torch.float32:
        return Split(points, labels)
    return Split(as_split(name, points, labels, dtype).points, labels)


def take_splits(
    config: DataConfig,
    given: Mapping[str, tuple[Any, Any]],
    num_classes: int | None,
    data_seed: int,
    dtype: torch.dtype = torch.float32,
) -> tuple[dict[str, Split], dict[str, int], int]:
    """Take tensors by split, or as many of them as the configuration asks for, chosen by ``data_seed``.

    Returns:
        The splits, how many points each has before folds are cut, and the number of classes; 0 for real targets.

    Raises:
        ConfigError: If a split is missing, has too few points, or cannot be trained on.
    """
    check_names(config, given)
    found = {name: as_split(name, *given[name], dtype) for name in SIZE_KEYS if name in given}
    if num_classes is None:
        num_classes = count_classes([split.labels for split in found.values() if len(split)])
    splits = {}
    for name, split in found.items():
        check_split(name, split, None, num_classes)
        rows = chosen_rows(config, name, len(split), data_seed)
        if rows is None or len(rows):
            splits[name] = split if rows is None else split[rows]
    sizes = {name: len(split) for name, split in splits.items()}
    return _corrupted(config, splits, num_classes, data_seed), sizes, num_classes


def count_classes(labels: Sequence[Tensor]) -> int:
    """Return the number of classes of some whole-number labels; 0 for real numbers."""
    if any(some.is_floating_point() for some in labels):
        return 0
    return max(int(some.max()) for some in labels) + 1


def check_names(config: DataConfig, given: Mapping[str, Any]) -> None:
    """Check that there are the splits that a run needs, and nothing else.

    Raises:
        ConfigError: If not.
    """
    if not {"train", "test"} <= given.keys() <= SIZE_KEYS.keys():
        raise ConfigError(
            f"data: expected the splits train and test, and val or not, but {type(config).__name__} built "
            f"{', '.join(map(str, given)) or 'none'}."
        )
    if config.split_mode is SplitMode.shared:
        raise ConfigError(
            "data.split_mode: expected separate, as these data come in splits already, but got 'shared'."
        )


def chosen_rows(config: DataConfig, name: str, available: int, data_seed: int) -> Tensor | None:
    """Return the rows of a split that a size which was typed asks for; None for all of them.

    Raises:
        ConfigError: If there are not so many.
    """
    key = SIZE_KEYS[name]
    wanted: int | None = getattr(config, key)
    if name == "val" and config.num_folds:
        wanted = None  # folds validate
    if wanted is None or wanted == available:
        return None
    if wanted > available:
        raise ConfigError(
            f"data.{key}: expected at most the {available} {name} points that the data have, but got {wanted}."
        )
    order = torch.randperm(available, generator=make_generator(data_seed, "taken", name))
    return order[:wanted].sort().values


def cut_rows(
    num_rows: int, val_share: float, test_share: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return random rows by split; each share is rounded, and val is left out where it is empty."""
    order = torch.randperm(num_rows, generator=generator)
    num_val, num_test = round(val_share * num_rows), max(1, round(test_share * num_rows))
    parts = {
        "train": order[num_val + num_test :],
        "val": order[:num_val],
        "test": order[num_val : num_val + num_test],
    }
    return {name: rows.sort().values for name, rows in parts.items() if name != "val" or num_val}


def _corrupted(
    config: DataConfig, splits: dict[str, Split], num_classes: int, data_seed: int
) -> dict[str, Split]:
    """Cut folds, append dimensions without meaning, and replace labels, as far as the configuration asks for it."""
    if config.num_folds:
        splits = _cut_fold(splits, config, data_seed)
    if config.label_noise > 0 and num_classes < 2:
        raise ConfigError(
            f"data.label_noise: expected at least two classes to confuse, but these data have {num_classes}."
        )
    for name, split in splits.items():
        if config.noise_dimensions:
            if (
                isinstance(split.points, dict)
                or split.points.ndim != 2
                or not split.points.is_floating_point()
            ):
                raise ConfigError(
                    "data.noise_dimensions: expected points that are vectors of numbers [P, D], but these have "
                    f"the shape {shape_of(split.points)}."
                )
            split.points = append_noise_dimensions(
                split.points,
                config.noise_dimensions,
                config.noise_scale,
                make_generator(data_seed, "noise", name),
            )
        noisy = name == "train" or config.label_noise_in is LabelNoise.all_splits
        if noisy and config.label_noise > 0:
            generator = make_generator(data_seed, "labels", name)
            split.labels = flip_labels(split.labels, num_classes, config.label_noise, generator=generator)
    return splits


def _cut_fold(splits: dict[str, Split], config: DataConfig, data_seed: int) -> dict[str, Split]:
    """Replace the val split by every ``num_folds``-th point of the shuffled training points."""
    whole = splits["train"]
    if config.num_folds > len(whole):
        raise ConfigError(
            f"data.num_folds: expected at most the {len(whole)} points there are, but got {config.num_folds}."
        )
    order = torch.randperm(len(whole), generator=make_generator(data_seed, "fold"))
    held_out = torch.arange(len(whole)) % config.num_folds == config.fold
    return {"train": whole[order[~held_out]], "val": whole[order[held_out]], "test": splits["test"]}
