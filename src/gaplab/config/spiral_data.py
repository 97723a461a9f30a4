"""Settings of the spirals: our own law with any number of arms, and the published sets."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive
from gaplab.config.data import DataConfig, LawConfig, SplitMode, Streams
from gaplab.config.registry import choice
from gaplab.errors import ConfigError


class Sampling(StrEnum):
    grid = "grid"
    """Evenly spaced positions along each arm, as the published notebooks do."""
    iid = "iid"
    """Positions drawn at random: what every bound on the gap assumes."""


@choice("data", "spirals")
@dataclass(kw_only=True, slots=True)
class SpiralsConfig(LawConfig):
    """Spirals with any number of arms: angle 2 pi (arm / num_arms + turns t) + noise, radius t."""

    num_arms: int = 3
    noise: float = 0.4
    """Standard deviation of the angle, in radians. The published sets use 0.2, where the gap is small."""
    turns: float | None = None
    """Revolutions of an arm; null for the course notebook's 2 / num_arms."""
    sampling: Sampling = Sampling.iid
    min_radius: float = 0.0
    """Smallest t. Above 0 the arms do not share the origin, so that the set can be interpolated."""

    def __post_init__(self) -> None:
        _check_every_arm(self, self.num_arms)
        DataConfig.__post_init__(self)
        check_not_negative("data.noise", self.noise)
        if self.turns is not None:
            check_positive("data.turns", self.turns)
        check(0 <= self.min_radius < 1, "data.min_radius", "a radius in [0, 1)", self.min_radius)

    @property
    def independent(self) -> bool:
        """Whether positions are drawn; arms have equal counts, so that points are independent given their label."""
        return self.sampling is Sampling.iid

    def build(self, stream: Streams) -> tuple[Any, int]:
        from gaplab.data.spirals import sample_spirals

        def draw(split: str, num_points: int) -> Any:
            return sample_spirals(
                num_points,
                num_arms=self.num_arms,
                noise=self.noise,
                turns=self.turns,
                sampling=self.sampling,
                min_radius=self.min_radius,
                generator=stream(split),
            )

        return draw, self.num_arms

    def build_law_scores(self) -> Any:
        from gaplab.tasks.law_scores import spiral_scores

        known = self.turns is None and self.min_radius == 0.0
        return spiral_scores(self.num_arms, self.noise) if known else None


@choice("data", "notebook_spirals")
@dataclass(kw_only=True, slots=True)
class NotebookSpiralsConfig(LawConfig):
    """The course notebook's three arms, drawn by the notebook's own sequence of random numbers."""

    num_points: int = 3_000
    num_arms: int = 3
    noise: float = 0.2

    def __post_init__(self) -> None:
        _check_published_spirals(self)

    def build(self, stream: Streams) -> tuple[Any, int]:
        from gaplab.data.spirals import sample_notebook_spirals

        def draw(split: str, num_points: int) -> Any:
            return sample_notebook_spirals(
                num_points, num_arms=self.num_arms, noise=self.noise, generator=stream(split)
            )

        return draw, self.num_arms

    def build_law_scores(self) -> Any:
        from gaplab.tasks.law_scores import spiral_scores

        return spiral_scores(self.num_arms, self.noise)


@choice("data", "cs231n_spirals")
@dataclass(kw_only=True, slots=True)
class CS231nSpiralsConfig(LawConfig):
    """The spiral of the CS231n case study, drawn from NumPy's legacy stream as there."""

    num_points: int = 300
    num_arms: int = 3
    noise: float = 0.2

    def __post_init__(self) -> None:
        _check_published_spirals(self)

    def build(self, stream: Streams) -> tuple[Any, int]:
        import numpy as np

        from gaplab.data.published_spirals import published_cs231n_spirals

        def draw(split: str, num_points: int) -> Any:
            random_state = np.random.RandomState(stream(split).initial_seed() % 2**32)
            return published_cs231n_spirals(
                random_state, num_points, num_arms=self.num_arms, noise=self.noise
            )

        return draw, self.num_arms


def _check_published_spirals(config: NotebookSpiralsConfig | CS231nSpiralsConfig) -> None:
    _check_every_arm(config, config.num_arms)
    DataConfig.__post_init__(config)
    check_not_negative("data.noise", config.noise)
    _check_equal_arms(config.num_points, config.num_arms)


@choice("data", "playground_spirals")
@dataclass(kw_only=True, slots=True)
class PlaygroundSpiralsConfig(LawConfig):
    """TensorFlow Playground's two arms with uniform noise."""

    num_points: int = 250
    noise: float = 0.0
    """Half width of the uniform noise, 0 to 0.5 as on the Playground's slider."""

    def __post_init__(self) -> None:
        _check_every_arm(self, 2)
        DataConfig.__post_init__(self)
        check(0 <= self.noise <= 0.5, "data.noise", "a half width between 0 and 0.5", self.noise)
        _check_equal_arms(self.num_points, 2)

    def build(self, stream: Streams) -> tuple[Any, int]:
        from gaplab.data.published_spirals import sample_playground_spirals

        def draw(split: str, num_points: int) -> Any:
            return sample_playground_spirals(num_points, noise=self.noise, generator=stream(split))

        return draw, 2


@choice("data", "two_spirals")
@dataclass(kw_only=True, slots=True)
class TwoSpiralsConfig(LawConfig):
    """The 194 points of Lang and Witbrock; the test split lies between them."""

    has_law: ClassVar[bool] = False

    num_points: int = 194
    num_val_points: int = 0
    num_test_points: int = 192
    batch_size: int | None = None

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        published = (self.num_points, self.num_val_points, self.num_test_points) == (194, 0, 192)
        if not published or self.split_mode is not SplitMode.separate:
            raise ConfigError(
                "data=two_spirals: the benchmark is 194 training and 192 intermediate test points, without "
                "validation; leave num_points, num_val_points, num_test_points and split_mode as they are, or "
                "use data=spirals data.num_arms=2."
            )

    def build(self, stream: Streams) -> tuple[Any, int]:
        from gaplab.data.published_spirals import sample_two_spirals

        def draw(split: str, num_points: int) -> Any:
            return sample_two_spirals(num_points, between=split == "test", generator=stream(split))

        return draw, 2


def _check_every_arm(config: DataConfig, num_arms: int) -> None:
    """Every arm needs a point in each draw."""
    check_at_least("data.num_arms", num_arms, 2)
    for key in ("num_points", "num_val_points", "num_test_points"):
        size = getattr(config, key)
        if key == "num_points" or (size > 0 and config.split_mode is SplitMode.separate):
            check_at_least(f"data.{key}", size, num_arms, "Every arm needs a point.")


def _check_equal_arms(num_points: int, num_arms: int) -> None:
    check(
        num_points % num_arms == 0,
        "data.num_points",
        f"a multiple of the {num_arms} arms, as in the published set",
        num_points,
    )
