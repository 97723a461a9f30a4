"""Settings of the point sets of the GAN literature, whose laws are known exactly."""

from dataclasses import dataclass
from enum import StrEnum

from gaplab.config.checks import check_at_least, check_not_negative, check_positive
from gaplab.config.data import DataConfig


class Scaling(StrEnum):
    """Which publication a ring or grid is scaled as."""

    pacgan = "pacgan"
    """Ring: radius 1, std .01; grid: spacing 2, std .05 (VEEGAN, PacGAN, unrolled GAN)."""
    wgan_gp = "wgan_gp"
    """Ring: radius 2, std .02, over 1.414; grid: spacing 2, std .05, over 2.828 (WGAN-GP)."""


@dataclass(kw_only=True, slots=True)
class GenerativeDataConfig(DataConfig):
    """Sizes that the publications train with, and held-out points to judge generators by."""

    num_points: int = 100_000
    num_val_points: int = 10_000
    num_test_points: int = 10_000
    batch_size: int | None = 256


@dataclass(kw_only=True, slots=True)
class RingConfig(GenerativeDataConfig):
    """Equally likely normal modes on a circle; the label is the mode."""

    num_modes: int = 8
    scaling: Scaling = Scaling.pacgan
    std: float | None = None
    """Standard deviation of a mode; null for the one of ``scaling``."""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        check_at_least("data.num_modes", self.num_modes, 2)
        if self.std is not None:
            check_positive("data.std", self.std)


@dataclass(kw_only=True, slots=True)
class GridConfig(GenerativeDataConfig):
    """Equally likely normal modes on a square grid; the label is the mode."""

    grid_side: int = 5
    """Modes on each side."""
    scaling: Scaling = Scaling.pacgan
    std: float | None = None
    """Standard deviation of a mode; null for the one of ``scaling``."""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        check_at_least("data.grid_side", self.grid_side, 2)
        if self.std is not None:
            check_positive("data.std", self.std)


@dataclass(kw_only=True, slots=True)
class SwissRollConfig(GenerativeDataConfig):
    """The swiss roll of the improved Wasserstein GAN; one class, so only a GAN can learn it."""

    noise: float = 0.25
    """Standard deviation across the roll before the division by 7.5."""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        check_not_negative("data.noise", self.noise)
