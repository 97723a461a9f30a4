"""The ``LightningDataModule``s of a run: splits that lie on the device, or Datasets that are read lazily."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import Dataset

from gaplab.config.data import DataConfig
from gaplab.data.dataset_loader import DatasetSplitLoader, DatasetTrainLoader, ExampleSplit
from gaplab.data.loader import SplitLoader, TrainLoader
from gaplab.data.splits import SampleFn, Shape, Split, num_features, shape_of, to_device


class Schedule(Protocol):
    """What a data module reads of the configuration of a run."""

    data: DataConfig
    data_seed: int
    train_seed: int

    @property
    def num_steps(self) -> int: ...
    @property
    def batches_per_epoch(self) -> int | None: ...
    @property
    def same_batches(self) -> bool: ...
    @property
    def evaluation_steps(self) -> Sequence[int]: ...


class PointDataModule(LightningDataModule):
    """Splits of tensors of any shape, which stay on the device.

    Args:
        config: The configuration, with the sizes of these splits.
        splits: Train, val (or not) and test.
        num_classes: Number of labels; 0 where targets are real numbers.
        draw: The law that the points were drawn from, if there is one.
        facts: What the run records of the data beside their settings.
    """

    def __init__(
        self,
        config: Schedule,
        splits: Mapping[str, Any],
        *,
        num_classes: int,
        draw: SampleFn | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.config = config.data
        self.draw = draw
        self.num_classes = num_classes
        self.facts = dict(facts or {})
        self.train_seed = config.train_seed
        self.num_steps = config.num_steps
        self.evaluation_steps = config.evaluation_steps
        self.batches_per_epoch, self.same_batches = config.batches_per_epoch, config.same_batches
        self.block_steps: Callable[[], int] = lambda: 1
        """Tells how many steps a block of the training loader has: 1 for plain batches, which any loop takes."""
        self.validates_all = True
        """Whether a validation runs on all splits, for modules that measure them."""
        self.splits: dict[str, Any] = dict(splits)

    @cached_property
    def example(self) -> Split:
        """The first two training points: enough to see shapes and types."""
        some: Split = self.splits["train"][slice(0, 2)]
        return some

    @property
    def example_shape(self) -> Shape:
        """Shape of one point; of each part by name, where points are dicts."""
        return shape_of(self.example.points)

    @property
    def in_features(self) -> int:
        """Numbers that one point has."""
        return num_features(self.example_shape)

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of one target: () for a class or a single number."""
        return tuple(self.example.labels.shape[1:])

    def setup(self, stage: str | None = None) -> None:
        if self.trainer is None:
            return
        dtype = torch.float64 if self.trainer.precision == "64-true" else torch.float32
        for split in self.splits.values():
            split.moved(to_device(self.trainer.strategy.root_device, dtype))

    def train_dataloader(self) -> TrainLoader:
        train = self.splits["train"]
        return TrainLoader(
            train.points, train.labels, **self.train_settings(), block_steps=self.block_steps()
        )

    def train_settings(self) -> dict[str, Any]:
        """Return what every training loader is told of the run."""
        trainer = self.trainer
        assert trainer is not None, "Lightning attaches the Trainer before it asks for loaders"
        return {
            "batch_size": self.config.points_per_step,
            "num_steps": self.num_steps,
            "evaluation_steps": self.evaluation_steps,
            "train_seed": self.train_seed,
            "rank": trainer.global_rank,
            "world_size": trainer.world_size,
            "first_step": lambda: trainer.global_step,
            "batches_per_step": trainer.accumulate_grad_batches,
            "batches_per_epoch": self.batches_per_epoch,
            "same_order": self.same_batches,
        }

    def ranks(self) -> dict[str, int]:
        """Return which part of a split this process measures."""
        trainer = self.trainer
        return {} if trainer is None else {"rank": trainer.global_rank, "world_size": trainer.world_size}

    def val_dataloader(self) -> list[Any]:
        """Return one loader a split, in the order of ``splits``; without ``validates_all`` that of val, or test."""
        loaders = self.split_loaders()
        return loaders if self.validates_all else loaders[1:2]

    def split_loaders(self) -> list[Any]:
        """Return one sequential loader a split, of this process's part, in the order of ``splits``."""
        return [SplitLoader(split.points, split.labels, **self.ranks()) for split in self.splits.values()]


class DatasetDataModule(PointDataModule):
    """Datasets that are read lazily, by workers: for augmentation, and for what does not fit into memory.

    Args:
        config: The configuration, with the sizes of the Datasets.
        datasets: Map-style Datasets of ``(input, target)`` by split.
        num_classes: As above.
        facts: As above.
    """

    def __init__(
        self,
        config: Schedule,
        datasets: Mapping[str, Dataset[Any]],
        *,
        num_classes: int,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        splits = {name: ExampleSplit(dataset, config.data_seed, name) for name, dataset in datasets.items()}
        super().__init__(config, splits, num_classes=num_classes, facts=facts)

    def train_dataloader(self) -> TrainLoader:
        train: ExampleSplit = self.splits["train"]
        return DatasetTrainLoader(train.dataset, self.config.num_workers, **self.train_settings())

    def split_loaders(self) -> list[Any]:
        return [
            DatasetSplitLoader(split, self.config.num_workers, **self.ranks())
            for split in self.splits.values()
        ]
