"""Settings of the GAN: two networks, the game that they play, and how samples are judged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive
from gaplab.config.network import MLPConfig, NetworkConfig, build_network
from gaplab.config.optimizer import LBFGSConfig, OptimizerConfig
from gaplab.config.registry import choice
from gaplab.config.sections import Sections
from gaplab.config.task import TaskConfig
from gaplab.errors import ConfigError

SMALLEST_SPLIT = 100
"""Points with which generated ones are compared."""


class AdversarialLoss(StrEnum):
    """The published pairs of losses; formulas and sources in ``gaplab.losses.adversarial``."""

    minimax = "minimax"
    non_saturating = "non_saturating"
    least_squares = "least_squares"
    hinge = "hinge"
    wasserstein = "wasserstein"
    relativistic = "relativistic"


class LatentLaw(StrEnum):
    normal = "normal"
    uniform = "uniform"
    """Uniform on [-1, 1]."""


@choice("network", "deep_mlp")
@dataclass(kw_only=True, slots=True)
class DeepMLPConfig(MLPConfig):
    """Four hidden layers of 64 units: wide enough for 25 modes, narrow enough for CPU minutes."""

    widths: list[int] = field(default_factory=lambda: [64, 64, 64, 64])


@choice("task", "gan")
@dataclass(kw_only=True, slots=True)
class GANConfig(TaskConfig):
    """Learn to draw new points: a generator against a discriminator.

    Every batch is one step of the discriminator, and one step on the x axis of all curves; the generator
    steps on every ``discriminator_steps``-th batch.
    """

    monitor: ClassVar[str] = "distance/sliced_w2_{split}"
    stacks: ClassVar[bool] = True
    # The second derivatives of its penalties cost more as a pure function.
    why_alone: ClassVar[str | None] = "a single GAN is faster by itself"
    # Most of a step is matrix products, which compiling has made slower in some sweeps and faster in others.
    stacks_any_sizes: ClassVar[bool] = True
    free_in_stacks: ClassVar[tuple[str, ...]] = (
        *(
            "r1",
            "r2",
            "gradient_penalty",
            "penalty_final_factor",
            "clip_weights",
            "ema",
            "num_samples",
            "defaults",
        ),
    )
    seconds_per_step: ClassVar[float | None] = 4e-3

    defaults: list[Any] = field(
        default_factory=lambda: [
            "_self_",
            {"/network@generator": "deep_mlp"},
            {"/network@discriminator": "deep_mlp"},
            {"/optimizer@discriminator_optimizer": None},
        ]
    )
    """Hydra's: which choice fills which key. Override as in ``network@task.generator=linear``."""
    generator: NetworkConfig = field(default_factory=NetworkConfig)
    """Latent variables (and label embedding) to a point."""
    discriminator: NetworkConfig = field(default_factory=NetworkConfig)
    """``pack`` points (and label embeddings) to one score."""
    discriminator_optimizer: OptimizerConfig | None = None
    """The section ``optimizer`` is the generator's; null to use it for both."""
    latent_size: int = 2
    latent: LatentLaw = LatentLaw.normal
    loss: AdversarialLoss = AdversarialLoss.relativistic
    r1: float = 0.1
    """Weight of the squared gradient at real points, 1/2 E|grad D|^2."""
    r2: float = 0.1
    """The same at generated points."""
    gradient_penalty: float = 0.0
    """Weight of E(|grad D| - 1)^2 between real and generated points."""
    penalty_final_factor: float = 1.0
    """What the three weights are multiplied by at the end, reached along a cosine of their logarithm."""
    clip_weights: float | None = None
    """Largest absolute weight of the discriminator; null for no limit."""
    pack: int = 1
    """Points that the discriminator sees at once."""
    discriminator_steps: int = 1
    """Steps of the discriminator, each on a batch of its own, for one of the generator."""
    label_embedding: int = 0
    """Size of the label embedding of a class-conditional GAN; 0 for an unconditional one."""
    ema: float = 0.999
    """Weight of the past in the moving average of the generator, which is what is judged; 0 for none."""
    num_samples: int = 2_500
    """Generated points that a measurement judges."""

    def __post_init__(self) -> None:
        check_at_least(
            "task.latent_size", self.latent_size, 1, "Without latent variables all samples are one point."
        )
        for key in ("r1", "r2", "gradient_penalty"):
            check_not_negative(f"task.{key}", getattr(self, key))
        check_positive("task.penalty_final_factor", self.penalty_final_factor)
        if self.clip_weights is not None:
            check_positive("task.clip_weights", self.clip_weights, "Use null for no limit.")
        check_at_least("task.pack", self.pack, 1)
        check_at_least("task.discriminator_steps", self.discriminator_steps, 1)
        check_not_negative("task.label_embedding", self.label_embedding)
        check(0 <= self.ema < 1, "task.ema", "a weight in [0, 1)", self.ema)
        check_at_least("task.num_samples", self.num_samples, 100, "The scores need a sample.")
        for key in ("generator", "discriminator"):
            dropout = getattr(getattr(self, key), "dropout", 0.0)
            check(dropout == 0, f"task.{key}.dropout", "0: a GAN's noise is its latent variables", dropout)

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        """Build both networks and the task; ``init_stream`` draws the generator's weights first.

        Raises:
            ConfigError: If the training points have no spread, so that nothing can be scaled by it.
        """
        import torch

        from gaplab.tasks.gan import GAN
        from gaplab.tasks.gan_losses import Discriminator, Generator

        if getattr(data, "draw", None) is None or not isinstance(data.example_shape, tuple):
            raise ConfigError(
                "task=gan: expected data with a law that a perfect sampler can draw from, but these are examples. "
                "Take data=ring, data=grid, data=spirals, or a law of your own."
            )
        if len(data.example_shape) != 1:
            raise ConfigError(
                f"task=gan: expected points that are vectors [P, D], but a point has the shape {data.example_shape}."
            )
        scale = float(data.splits["train"].points.std())
        if not scale > 0:
            raise ConfigError(
                "data: expected points with some spread, but all training coordinates are equal."
            )
        size, inputs = self.label_embedding, self.pack * (data.in_features + self.label_embedding)

        def embedding() -> torch.Tensor | None:
            return torch.randn(data.num_classes, size, generator=init_stream) if size else None

        def network(section: NetworkConfig, in_features: int, out_features: int) -> Any:
            return build_network(
                section,
                in_features=in_features,
                out_features=out_features,
                example_shape=(in_features,),
                generator=init_stream,
            )

        generator = network(self.generator, self.latent_size + size, data.in_features)
        generator = Generator(generator, embedding())
        discriminator = network(self.discriminator, inputs, 1)
        discriminator = Discriminator(discriminator, self.pack, embedding())
        return GAN(
            generator,
            discriminator,
            config=self,
            optimizer=config.optimizer,
            scale=scale,
            num_steps=config.num_steps,
            train_seed=config.train_seed,
            law_scores=config.data.build_law_scores(),
        )

    def build_callbacks(
        self, config: Sections, run: Any, recorder: Any, rebuild: Callable[[], Any]
    ) -> list[Any]:
        from gaplab.callbacks.samples import SamplePictures

        return [SamplePictures(run.figures)] if config.logging.pictures else []

    def networks_of(self, config: Sections) -> tuple[list[NetworkConfig], int]:
        # A step keeps the activations of real and generated points, their gradients, and those of gradients.
        return [self.generator, self.discriminator], 4 * config.data.points_per_step

    def build_stack_class(self) -> Any:
        from gaplab.stacked.gans import StackedGANs

        return StackedGANs

    def check_fits(self, config: Sections) -> None:
        """Raise ``ConfigError`` if the other sections do not suit a GAN."""
        if config.network != MLPConfig():
            raise ConfigError(
                "network: a GAN has two networks, so this section is not used; set task.generator.* and "
                "task.discriminator.*, or choose them by network@task.generator=NAME."
            )
        for key, optimizer in (
            ("optimizer", config.optimizer),
            ("optimizer@task.discriminator_optimizer", self.discriminator_optimizer),
        ):
            if isinstance(optimizer, LBFGSConfig):
                raise ConfigError(f"{key}: expected sgd, adam or adamw, but got 'lbfgs', which minimises.")
        if config.schedule is not None:
            raise ConfigError(
                "schedule: expected null: a GAN has two optimisers; optimizer.schedule moves each."
            )
        trainer, data = config.trainer, config.data
        for key in ("stop_at_train_loss", "stop_at_train_accuracy"):
            value = getattr(trainer, key)
            check(value is None, f"trainer.{key}", "null: a GAN has no such level", value)
        for key, ordinary in (("accumulate_grad_batches", 1), ("gradient_clip_val", None)):
            value = getattr(trainer, key)
            check(
                value == ordinary,
                f"trainer.{key}",
                f"{ordinary or 'null'}: each player steps by itself",
                value,
            )
        check(data.noise_dimensions == 0, "data.noise_dimensions", "0 for a GAN", data.noise_dimensions)
        if not data.has_law:
            raise ConfigError(
                "data: expected a law to draw from, as a generator is compared with fresh draws, but of this set "
                "there are only the published points."
            )
        hint = "Samples are compared with them."
        for key in ("num_points", "num_test_points"):
            if getattr(data, key) is not None:
                check_at_least(f"data.{key}", getattr(data, key), SMALLEST_SPLIT, hint)
        if data.num_folds and data.num_points is not None:
            check(
                data.num_points - data.num_train_points >= SMALLEST_SPLIT <= data.num_train_points,
                "data.num_folds",
                f"folds of at least {SMALLEST_SPLIT} points",
                data.num_folds,
                hint,
            )
        elif data.num_val_points:
            check_at_least(
                "data.num_val_points", data.num_val_points, SMALLEST_SPLIT, f"{hint} Or 0 for none."
            )
        self._check_pack(config)

    def _check_pack(self, config: Sections) -> None:
        """Whole packs in every batch, so that what is learned does not depend on the processes."""
        data, processes = config.data, config.trainer.num_processes or 1
        last = data.num_train_points % data.points_per_step or data.points_per_step
        for size in (data.points_per_step, last):
            check(
                self.pack == 1 or size % (self.pack * processes) == 0,
                "task.pack",
                f"a number of which (times {processes} processes) the batch of {data.points_per_step} points "
                f"and the last batch of an epoch, {last} points, are multiples",
                self.pack,
                "Change data.batch_size or data.num_points.",
            )
