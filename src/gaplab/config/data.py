"""Settings of the point sets: how many points, from which law, and how they are split and batched."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from gaplab.config.checks import (
    check,
    check_at_least,
    check_at_most,
    check_not_negative,
    check_positive,
    check_share,
)
from gaplab.config.registry import without_builder

Streams = Callable[[str], Any]
"""Gives each split its own random stream, a ``torch.Generator``."""


class SplitMode(StrEnum):
    separate = "separate"
    """Train, val and test come from three independent draws."""
    shared = "shared"
    """One draw of all points, shuffled and cut into train, val and test."""


class LabelNoise(StrEnum):
    train = "train"
    """Only training labels are wrong: the protocol of memorisation studies (Zhang et al. 2017)."""
    all_splits = "all_splits"
    """All splits follow one noisy law, as every bound on the gap assumes."""


SIZE_KEYS = {"train": "num_points", "val": "num_val_points", "test": "num_test_points"}
"""The key of the ``data`` section that says how many points a split has."""

LAW_SIZES = {"train": 300, "val": 2_000, "test": 100_000}
"""Points that a law is asked for where nobody says how many."""


@dataclass(kw_only=True, slots=True)
class DataConfig:
    """Any data; a user's own config derives from this class.

    Sizes are null until the data are built: then they are those of the data, and the run records them. A size that
    is set is honoured: so many are drawn from a law, or so many of the examples are taken, chosen by ``data_seed``.
    """

    has_law: ClassVar[bool] = True
    """Whether ever more points can be drawn, which judging a generator needs."""

    num_points: int | None = None
    """Training points in all; null for as many as the data have."""
    num_val_points: int | None = None
    """Validation points; 0 for none, null for as many as the data have."""
    num_test_points: int | None = None
    """Test points; null for as many as the data have."""
    split_mode: SplitMode = SplitMode.separate
    num_folds: int = 0
    """k of k-fold cross-validation over the training points; 0 for none."""
    fold: int = 0
    """Which of the folds validates, counted from 0."""
    batch_size: int | None = 64
    """Points per optimiser step over all processes together; null for full batch."""
    label_noise: float = 0.0
    """Share of labels replaced by another class."""
    label_noise_in: LabelNoise = LabelNoise.train
    noise_dimensions: int = 0
    """Extra input features that carry nothing but Gaussian noise."""
    noise_scale: float = 1.0
    """Standard deviation of the extra features."""
    num_workers: int = 0
    """Processes that read a Dataset; with 0 the training process reads it."""
    in_memory: bool = False
    """Read a Dataset once into tensors on the device: much faster, for one without augmentation."""

    def __post_init__(self) -> None:
        if self.num_points is not None:
            check_at_least("data.num_points", self.num_points, 1)
        if self.num_val_points is not None:
            check_not_negative("data.num_val_points", self.num_val_points)
        if self.num_test_points is not None:
            check_at_least("data.num_test_points", self.num_test_points, 1, "The gap needs a test split.")
        check_not_negative("data.num_workers", self.num_workers)
        check_share("data.label_noise", self.label_noise)
        for key in ("num_points", "num_val_points", "num_test_points", "noise_dimensions"):
            if (number := getattr(self, key)) is not None:
                check_at_most(f"data.{key}", number, 10**9, "All points are kept in memory.")
        check_not_negative("data.noise_dimensions", self.noise_dimensions)
        check_positive("data.noise_scale", self.noise_scale)
        self._check_folds()
        if self.batch_size is not None:
            check_at_least("data.batch_size", self.batch_size, 1, "Use null for full batch.")
        if self.batch_size is not None and self.num_points is not None:
            check(
                self.batch_size <= self.num_train_points,
                "data.batch_size",
                f"at most the {self.num_train_points} training points there are",
                self.batch_size,
                "Lower it, raise data.num_points, or use data.batch_size=null for full batch.",
            )

    def _check_folds(self) -> None:
        check(self.num_folds == 0 or self.num_folds >= 2, "data.num_folds", "0 or at least 2", self.num_folds)
        if self.num_folds == 0:
            check(self.fold == 0, "data.fold", "0 unless data.num_folds is set", self.fold)
            return
        if self.num_points is not None:
            check(
                self.num_folds <= self.num_points,
                "data.num_folds",
                f"at most the {self.num_points} points there are",
                self.num_folds,
            )
        check(
            0 <= self.fold < self.num_folds,
            "data.fold",
            f"a fold between 0 and {self.num_folds - 1}",
            self.fold,
        )

    def size_of(self, split: str) -> int:
        """Return the points of a split; until the data are built, what a law would be asked for."""
        size: int | None = getattr(self, SIZE_KEYS[split])
        return LAW_SIZES[split] if size is None else size

    def take_sizes(self, sizes: Mapping[str, int]) -> bool:
        """Make the sizes of what was built, points by split, those of the configuration; tell whether they change.

        ``train`` counts the points that train, or all of them with ``num_folds``.

        Raises:
            ConfigError: If other settings do not suit the sizes.
        """
        before = self.settled()
        for split, key in SIZE_KEYS.items():
            setattr(self, key, sizes.get(split, 0 if split == "val" else None))
        if self.settled() == before:
            return False
        self.__post_init__()
        return True

    def settled(self) -> dict[str, Any]:
        """Return the settings that are recorded as they came out, not as they were typed."""
        return {key: getattr(self, key) for key in SIZE_KEYS.values()}

    @property
    def independent(self) -> bool:
        """Whether points are independent draws of one law, which every bound assumes.

        A config of your own says so with ``independent: ClassVar[bool] = True``, if it is true. Label noise in the
        training points alone is seen to by ``points_are_independent``.
        """
        return False

    @property
    def num_train_points(self) -> int:
        """Points that train: m, the number that every bound divides by."""
        whole = self.size_of("train")
        if self.num_folds == 0:
            return whole
        return whole - len(range(self.fold, whole, self.num_folds))

    @property
    def points_per_step(self) -> int:
        return self.num_train_points if self.batch_size is None else self.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_train_points // self.points_per_step)

    def build(self, stream: Streams) -> Any:
        """Return the data, alone or as ``(data, num_classes)``, in one of these forms.

        - A law: ``draw(split, num_points)``, which returns points [P, ...] and labels [P]; with ``num_classes``.
        - Tensors by split: ``{"train": (inputs, targets), "val": ..., "test": ...}`` with inputs [P, ...] or a
          dict of them, and targets int64 [P] (classes), or float [P] or [P, T] (real numbers).
        - Datasets by split, whose items are ``(input, target)``.
        - One pair of tensors or one Dataset, of which a fifth becomes val and a fifth test.
        - A ``LightningDataModule``, which is served as it is.

        Args:
            stream: Gives each split a random stream of its own.

        Raises:
            ConfigError: If a class has no method of its own and no builder is registered for it.
        """
        raise without_builder(self)

    def content_hash(self) -> str | None:
        """Return the SHA-256 of the file that the data come from, as hexadecimal digits; None where there is none."""
        return None

    def build_law_scores(self) -> Any:
        """Return a GAN's scores that need the formula of the law (a ``LawScores``); None without a formula."""
        return None


@dataclass(kw_only=True, slots=True)
class LawConfig(DataConfig):
    """Points drawn from a law, as many as are asked for."""

    num_points: int = LAW_SIZES["train"]
    """Training points in all."""
    num_val_points: int = LAW_SIZES["val"]
    """Validation points; 0 for none."""
    num_test_points: int = LAW_SIZES["test"]
    """Test points; many, because they are cheap and make the error bar of the gap small."""
