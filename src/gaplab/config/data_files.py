"""Settings of examples that exist already: a table in a file, and scikit-learn's digits."""

import hashlib
import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from gaplab.config.checks import check, check_share
from gaplab.config.data import DataConfig, Streams
from gaplab.config.registry import choice


class TargetKind(StrEnum):
    auto = "auto"
    """Texts, truth values and whole numbers with at most 100 different values are classes; other numbers are real."""
    classes = "class"
    real = "real"


@dataclass(kw_only=True, slots=True)
class ExamplesConfig(DataConfig):
    """A finite number of examples, of which random shares become val and test."""

    val_share: float = 0.2
    """Share of the examples that validate."""
    test_share: float = 0.2
    """Share of the examples that test."""
    assume_independent: bool = False
    """Claim that the examples are independent draws of one law; only then are bounds on the gap computed. Rows that
    belong together (of one patient, one writer, one video) are not independent."""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        check_share("data.val_share", self.val_share)
        check(0 < self.test_share < 1, "data.test_share", "a share between 0 and 1", self.test_share)
        together = self.val_share + self.test_share
        check(together < 1, "data.val_share", "less than 1 together with data.test_share", together)

    @property
    def independent(self) -> bool:
        """What the user claims: random shares of independent examples are independent."""
        return self.assume_independent


@choice("data", "file")
@dataclass(kw_only=True, slots=True)
class FileConfig(ExamplesConfig):
    """A table in a CSV, Parquet or NPZ file: one column is the target, others are the features."""

    path: str | None = None
    """The file; recorded as an absolute path, with a hash of its content."""
    target: str = "label"
    """Column to predict."""
    features: list[str] = field(default_factory=list)
    """Columns to predict from; [] for all but the target and the split column."""
    split_column: str | None = None
    """Column that says train, val or test; null for random shares."""
    target_is: TargetKind = TargetKind.auto
    standardize: bool = True
    """Subtract each feature's mean and divide by its standard deviation, both of the training examples."""

    def __post_init__(self) -> None:
        ExamplesConfig.__post_init__(self)
        check(
            self.path is not None,
            "data.path",
            "the path of a .csv, .parquet or .npz file",
            self.path,
            "Set data.path=FILE.",
        )
        assert self.path is not None, "checked above"
        self.path = os.path.abspath(os.path.expanduser(self.path))
        check(os.path.isfile(self.path), "data.path", "a file that is there", self.path)

    def settled(self) -> dict[str, Any]:
        return {**ExamplesConfig.settled(self), "path": self.path}

    def content_hash(self) -> str | None:
        assert self.path is not None, "checked above"
        return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()

    def build(self, stream: Streams) -> Any:
        from gaplab.data.tables import load_table

        return load_table(self, stream("split"))


@choice("data", "digits")
@dataclass(kw_only=True, slots=True)
class DigitsConfig(ExamplesConfig):
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels in [0, 1], in ten classes.

    Several are of one writer, so they are not independent. Source: Alpaydin and Kaynak 1998, UCI repository.
    """

    flat: bool = False
    """Points [P, 64] instead of images [P, 1, 8, 8]."""

    def build(self, stream: Streams) -> Any:
        from gaplab.data.digits import load_digits

        return load_digits(self, stream("split"))
