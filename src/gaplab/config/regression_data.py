"""Settings of the laws with real targets, whose noise is known."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive
from gaplab.config.data import DataConfig, LawConfig, Streams
from gaplab.config.registry import choice


@dataclass(kw_only=True, slots=True)
class RegressionDataConfig(LawConfig):
    """Targets that are a known function of the point plus Gaussian noise; a law of one's own may derive from it."""

    independent: ClassVar[bool] = True

    num_points: int = 100
    num_val_points: int = 2_000
    num_test_points: int = 20_000
    batch_size: int | None = 20
    noise: float = 0.3
    """Standard deviation of every target around its mean: what no predictor can get rid of."""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        check_not_negative("data.noise", self.noise)
        check(
            self.label_noise == 0,
            "data.label_noise",
            "0: real targets have data.noise instead",
            self.label_noise,
        )

    def build_law(self) -> tuple[Any, int, tuple[float, float]]:
        """Return the function from points [P, D] to mean targets [P] or [P, T], D, and the ends of a coordinate."""
        raise NotImplementedError

    def build(self, stream: Streams) -> tuple[Any, int]:
        from gaplab.data.regression import sample_noisy

        mean, dimension, ends = self.build_law()

        def draw(split: str, num_points: int) -> Any:
            return sample_noisy(num_points, mean, dimension, ends, noise=self.noise, generator=stream(split))

        return draw, 0


@choice("data", "sine")
@dataclass(kw_only=True, slots=True)
class SineConfig(RegressionDataConfig):
    """A wave on [-1, 1]^D: sin(pi frequency x) with one input and one target."""

    dimension: int = 1
    """Inputs; the wave of several is the sum of theirs, over the root of their number."""
    num_targets: int = 1
    """Targets; they are shifts of one wave."""
    frequency: float = 2.0
    """Half periods from 0 to 1."""

    def __post_init__(self) -> None:
        RegressionDataConfig.__post_init__(self)
        check_at_least("data.dimension", self.dimension, 1)
        check_at_least("data.num_targets", self.num_targets, 1)
        check_positive("data.frequency", self.frequency)

    def build_law(self) -> tuple[Any, int, tuple[float, float]]:
        from gaplab.data.regression import sine_mean

        mean = partial(sine_mean, frequency=self.frequency, num_targets=self.num_targets)
        return mean, self.dimension, (-1.0, 1.0)


@choice("data", "friedman")
@dataclass(kw_only=True, slots=True)
class FriedmanConfig(RegressionDataConfig):
    """Friedman's first function on the unit cube: five coordinates matter, the others do not."""

    num_points: int = 200
    noise: float = 1.0
    dimension: int = 10
    """Inputs, five or more."""

    def __post_init__(self) -> None:
        RegressionDataConfig.__post_init__(self)
        check_at_least("data.dimension", self.dimension, 5, "The function has five arguments.")

    def build_law(self) -> tuple[Any, int, tuple[float, float]]:
        from gaplab.data.regression import friedman_mean

        return friedman_mean, self.dimension, (0.0, 1.0)
