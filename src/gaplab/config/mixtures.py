"""Settings of the point sets of the GAN literature, whose laws are known exactly."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive
from gaplab.config.data import DataConfig, LawConfig, Streams
from gaplab.config.registry import choice


class Scaling(StrEnum):
    """Which publication a ring or grid is scaled as."""

    pacgan = "pacgan"
    """Ring: radius 1, std .01; grid: spacing 2, std .05 (VEEGAN, PacGAN, unrolled GAN)."""
    wgan_gp = "wgan_gp"
    """Ring: radius 2, std .02, over 1.414; grid: spacing 2, std .05, over 2.828 (WGAN-GP)."""


@dataclass(kw_only=True, slots=True)
class GenerativeDataConfig(LawConfig):
    """Sizes that the publications train with, and held-out points to judge generators by."""

    num_points: int = 100_000
    num_val_points: int = 10_000
    num_test_points: int = 10_000
    batch_size: int | None = 256

    @property
    def independent(self) -> bool:
        """Every point is a draw of its own."""
        return True


@dataclass(kw_only=True, slots=True)
class MixtureConfig(GenerativeDataConfig):
    """Equally likely normal modes of one width; the label is the mode."""

    scaling: Scaling = Scaling.pacgan
    std: float | None = None
    """Standard deviation of a mode; null for the one of ``scaling``."""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        if self.std is not None:
            check_positive("data.std", self.std)

    def build_law(self) -> tuple[Any, float]:
        """Return the centres [K, 2] and the standard deviation of the modes."""
        raise NotImplementedError

    def build(self, stream: Streams) -> tuple[Any, int]:
        from gaplab.data.mixtures import sample_mixture

        centers, std = self.build_law()
        return lambda split, n: sample_mixture(n, centers, std, generator=stream(split)), len(centers)

    def build_law_scores(self) -> Any:
        import torch

        from gaplab.tasks.law_scores import mixture_scores

        centers, std = self.build_law()
        nearest = float(torch.pdist(centers).min())
        check(
            std <= nearest,
            "data.std",
            f"at most {nearest:.4g}, the distance of two modes, so that samples can be told apart by their mode",
            std,
        )
        return mixture_scores(centers, std)


@choice("data", "ring")
@dataclass(kw_only=True, slots=True)
class RingConfig(MixtureConfig):
    """Modes on a circle."""

    num_modes: int = 8

    def __post_init__(self) -> None:
        MixtureConfig.__post_init__(self)
        check_at_least("data.num_modes", self.num_modes, 2)

    def build_law(self) -> tuple[Any, float]:
        from gaplab.data.mixtures import RING_SCALINGS, ring_centers

        published = RING_SCALINGS[self.scaling]
        return ring_centers(self.num_modes, published["radius"]), self.std or published["std"]


@choice("data", "grid")
@dataclass(kw_only=True, slots=True)
class GridConfig(MixtureConfig):
    """Modes on a square grid."""

    grid_side: int = 5
    """Modes on each side."""

    def __post_init__(self) -> None:
        MixtureConfig.__post_init__(self)
        check_at_least("data.grid_side", self.grid_side, 2)

    def build_law(self) -> tuple[Any, float]:
        from gaplab.data.mixtures import GRID_SCALINGS, grid_centers

        published = GRID_SCALINGS[self.scaling]
        return grid_centers(self.grid_side, published["spacing"]), self.std or published["std"]


@choice("data", "swiss_roll")
@dataclass(kw_only=True, slots=True)
class SwissRollConfig(GenerativeDataConfig):
    """The swiss roll of the improved Wasserstein GAN; one class, so only a GAN can learn it."""

    noise: float = 0.25
    """Standard deviation across the roll before the division by 7.5."""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        check_not_negative("data.noise", self.noise)
        check(self.label_noise == 0, "data.label_noise", "0: the roll has one class", self.label_noise)

    def build(self, stream: Streams) -> tuple[Any, int]:
        from gaplab.data.mixtures import sample_swiss_roll

        def draw(split: str, num_points: int) -> Any:
            return sample_swiss_roll(num_points, noise=self.noise, generator=stream(split))

        return draw, 1
