"""The ``LightningDataModule``: draws a point set once, splits it, and serves it from the device."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from gaplab.config.data import DataConfig, LabelNoise, SplitMode
from gaplab.data.corruption import append_noise_dimensions, flip_labels
from gaplab.data.loader import SplitLoader, TrainLoader
from gaplab.data.validity import check_split
from gaplab.randomness import make_generator

SampleFn = Callable[[str, int], tuple[Tensor, Tensor]]


@dataclass(slots=True)
class Split:
    """Points float [P, D] and labels int64 [P]."""

    points: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor | slice) -> "Split":
        return Split(self.points[chosen], self.labels[chosen])


class PointDataModule(LightningDataModule):
    """Train, val and test splits of a 2-D point set.

    Args:
        config: The ``data`` section.
        draw: ``draw(split, num_points)`` returns points [P, 2] and labels [P] of a law; the name of the
            split selects the random stream.
        num_classes: Number of labels of the law.
        data_seed: Seed of label noise, extra dimensions and the shuffle of shared splits.
        train_seed: Seed of the order in which batches are drawn.
        num_steps: Optimiser steps of the run.
        steps_between_evaluations: Steps between two evaluations of all splits.
    """

    def __init__(
        self,
        config: DataConfig,
        draw: SampleFn,
        *,
        num_classes: int,
        data_seed: int,
        train_seed: int,
        num_steps: int,
        steps_between_evaluations: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.draw = draw
        self.num_classes = num_classes
        self.in_features = 2 + config.noise_dimensions
        self.train_seed = train_seed
        self.num_steps = num_steps
        self.steps_between_evaluations = steps_between_evaluations
        self.block_steps: Callable[[], int] = lambda: 1
        """Tells how many steps a block of the training loader has: 1 for plain batches, which any loop takes."""
        self.batches_per_epoch: int | None = None
        """Batches of an epoch that train; None for all of them."""
        self.same_batches = False
        """Whether every epoch has the batches of the first one."""
        self.splits = _make_splits(config, draw, num_classes, data_seed)

    def setup(self, stage: str | None = None) -> None:
        if self.trainer is None:
            return
        dtype = torch.float64 if self.trainer.precision == "64-true" else torch.float32
        device = self.trainer.strategy.root_device
        for split in self.splits.values():
            split.points = split.points.to(device, dtype)
            split.labels = split.labels.to(device)

    def train_dataloader(self) -> TrainLoader:
        trainer = self.trainer
        assert trainer is not None, "Lightning attaches the Trainer before it asks for loaders"
        train = self.splits["train"]
        return TrainLoader(
            train.points,
            train.labels,
            batch_size=self.config.points_per_step,
            num_steps=self.num_steps,
            steps_between_evaluations=self.steps_between_evaluations,
            train_seed=self.train_seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
            first_step=lambda: trainer.global_step,
            block_steps=self.block_steps(),
            batches_per_step=trainer.accumulate_grad_batches,
            batches_per_epoch=self.batches_per_epoch,
            same_order=self.same_batches,
        )

    def val_dataloader(self) -> list[SplitLoader]:
        """Return one loader a split, in the order of ``splits``."""
        rank, world_size = (
            (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        )
        return [
            SplitLoader(split.points, split.labels, rank=rank, world_size=world_size)
            for split in self.splits.values()
        ]


def _make_splits(config: DataConfig, draw: SampleFn, num_classes: int, data_seed: int) -> dict[str, Split]:
    """Draw and cut the splits, in the order train, val, test; an empty val split is left out."""

    def drawn(name: str, size: int) -> Split:
        points, labels = draw(name, size)
        check_split(name, points, labels, size, num_classes)
        return Split(points, labels)

    sizes = {"train": config.num_points, "val": config.num_val_points, "test": config.num_test_points}
    sizes = {name: size for name, size in sizes.items() if size > 0}
    if config.split_mode is SplitMode.shared:
        whole = drawn("train", sum(sizes.values()))
        order = torch.randperm(len(whole), generator=make_generator(data_seed, "split"))
        parts = torch.split(order, list(sizes.values()))
        splits = {name: whole[part] for name, part in zip(sizes, parts, strict=True)}
    else:
        splits = {name: drawn(name, size) for name, size in sizes.items()}
    if config.num_folds:
        splits = _cut_fold(splits, config, data_seed)
    for name, split in splits.items():
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
    order = torch.randperm(len(whole), generator=make_generator(data_seed, "fold"))
    held_out = torch.arange(len(whole)) % config.num_folds == config.fold
    return {"train": whole[order[~held_out]], "val": whole[order[held_out]], "test": splits["test"]}
