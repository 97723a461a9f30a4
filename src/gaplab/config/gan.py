"""Settings of the GAN: two networks, the game that they play, and how samples are judged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, cast

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive, check_waves
from gaplab.config.knots import check_knots
from gaplab.config.network import MLPConfig, NetworkConfig, build_network
from gaplab.config.optimizer import LBFGSConfig, OptimizerConfig
from gaplab.config.registry import choice
from gaplab.config.sampling import check_law, scale_of_law
from gaplab.config.sections import Sections
from gaplab.config.task import Compiling, TaskConfig
from gaplab.errors import ConfigError


class AdversarialLoss(StrEnum):
    """The published pairs of losses; formulas and sources in ``gaplab.losses.adversarial``."""

    minimax = "minimax"
    non_saturating = "non_saturating"
    least_squares = "least_squares"
    hinge = "hinge"
    wasserstein = "wasserstein"
    relativistic = "relativistic"


LOG_RATIO_LOSSES = (
    AdversarialLoss.minimax,
    AdversarialLoss.non_saturating,
    AdversarialLoss.relativistic,
)
"""Losses whose best discriminator scores a point by the log ratio of the two densities, up to a constant."""


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
    # True points are as far from val as the samples of a trained generator, so the smallest distance is chance.
    keeps_best: ClassVar[bool] = False
    stacks: ClassVar[bool] = True
    # Its own loop compiles the same step.
    why_alone: ClassVar[str | None] = "a single GAN is faster by itself"
    # 24 s in each of two processes: 16,000 steps.
    compiling: ClassVar[Compiling | None] = Compiling(takes=48.0, saved_by_step=3e-3)
    stacks_any_sizes: ClassVar[bool] = True
    free_in_stacks: ClassVar[tuple[str, ...]] = (
        *("r1", "r2", "gradient_penalty", "penalty_final_factor", "penalty_knots", "clip_weights", "ema"),
        *("fourier_frequencies", "fourier_amplitude", "rejection_quantile", "num_samples", "defaults"),
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
    latent_coins: int = 0
    """Latent variables beside them that are -1 or 1: a generator need not tear one cloud into modes."""
    loss: AdversarialLoss = AdversarialLoss.relativistic
    r1: float = 0.1
    """Weight of the squared gradient at real points, 1/2 E|grad D|^2."""
    r2: float = 0.1
    """The same at generated points."""
    gradient_penalty: float = 0.0
    """Weight of E(|grad D| - 1)^2 between real and generated points."""
    penalty_final_factor: float = 1.0
    """What the three weights are multiplied by at the end, reached along a cosine of their logarithm."""
    penalty_knots: list[Any] = field(default_factory=list)
    """Pairs [share of the steps, factor] that the three weights follow instead, straight in the logarithm."""
    penalty_every_n_steps: int = 1
    """The penalties count in every n-th step of the discriminator only, n times as much (lazy regularisation of
    StyleGAN2, Karras et al. 2020, section 3.1): a step without them costs less."""
    clip_weights: float | None = None
    """Largest absolute weight of the discriminator; null for no limit."""
    spectral_norm: bool = False
    """Divide each weight of the discriminator by its largest singular value (Miyato et al. 2018)."""
    pack: int = 1
    """Points that the discriminator sees at once."""
    discriminator_steps: int = 1
    """Steps of the discriminator, each on a batch of its own, for one of the generator."""
    simultaneous: bool = False
    """The generator answers the discriminator's weights before its step, not after it (simultaneous instead of
    alternating gradient descent, Mescheder et al. 2018): a compiled step takes the same scores for both players."""
    fourier_features: int = 0
    """Waves of a point that the discriminator sees beside it (Tancik et al. 2020); 0 for none."""
    fourier_frequencies: list[float] = field(default_factory=lambda: [1.0, 60.0])
    """Slowest and fastest of them, log-spaced, in radians per standard deviation of the data."""
    fourier_amplitude: list[Any] = field(default_factory=lambda: [[0.0, 1.0]])
    """Pairs [share of the steps, amplitude]; [[0.4, 0], [0.6, 1]] shows the waves late, when the modes stand."""
    rejection_quantile: float | None = None
    """Samples are kept with probability exp(score - cap), at most 1, where the cap is this quantile of the scores
    (discriminator rejection sampling, Azadi et al. 2019); null to keep all."""
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
        check_not_negative("task.latent_coins", self.latent_coins)
        check_positive("task.penalty_final_factor", self.penalty_final_factor)
        check_knots("task.penalty_knots", self.penalty_knots)
        check(
            not self.penalty_knots or self.penalty_final_factor == 1,
            "task.penalty_final_factor",
            "1 beside task.penalty_knots, which say the same",
            self.penalty_final_factor,
        )
        check_at_least(
            "task.penalty_every_n_steps",
            self.penalty_every_n_steps,
            1,
            "With 1 the penalties count in every step.",
        )
        self._check_fourier()
        if self.rejection_quantile is not None:
            self._check_rejection(self.rejection_quantile)
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

    def _check_fourier(self) -> None:
        check_waves("task", self.fourier_features, self.fourier_frequencies)
        check(bool(self.fourier_amplitude), "task.fourier_amplitude", "at least one knot", [])
        check_knots("task.fourier_amplitude", self.fourier_amplitude)

    def _check_rejection(self, quantile: float) -> None:
        key = "task.rejection_quantile"
        check(0 < quantile < 1, key, "a share between 0 and 1, or null to keep all samples", quantile)
        check(
            self.pack == 1, key, "null with task.pack: the score of a pack is not that of a point", quantile
        )
        check(
            self.loss in LOG_RATIO_LOSSES,
            key,
            f"null unless task.loss is {', '.join(LOG_RATIO_LOSSES)}, whose scores are log ratios of densities",
            quantile,
        )

    @property
    def unstacked(self) -> str | None:
        if self.spectral_norm:
            return "task.spectral_norm improves its estimates in every forward pass, which a pure function cannot"
        return None

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        """Build both networks and the task; ``init_stream`` draws the generator's weights first.

        Raises:
            ConfigError: If the training points have no spread, so that nothing can be scaled by it, or the
                discriminator has no layer for ``spectral_norm``.
        """
        import torch

        from gaplab.networks.fourier_features import FourierFeatures
        from gaplab.networks.normalization import normalize_spectrally
        from gaplab.tasks.gan import GAN
        from gaplab.tasks.gan_losses import Discriminator, Generator

        scale = scale_of_law("gan", data)
        size, waves = self.label_embedding, self.fourier_features
        inputs = self.pack * (data.in_features + waves + size)

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

        latents = self.latent_size + self.latent_coins
        generator = network(self.generator, latents + size, data.in_features)
        generator = Generator(generator, embedding())
        discriminator = network(self.discriminator, inputs, 1)
        if self.spectral_norm:
            try:
                normalize_spectrally(discriminator, init_stream)
            except ValueError as error:
                raise ConfigError(f"task.spectral_norm: expected false, because {error}.") from None
        discriminator = Discriminator(discriminator, self.pack, embedding())
        if waves:
            slow, fast = self.fourier_frequencies
            discriminator.fourier = FourierFeatures(data.in_features, waves, (slow, fast), init_stream)
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

    def build_last_picture(self, config: Sections, task: Any, data: Any, step: int) -> dict[str, bytes]:
        from gaplab.callbacks.samples import picture

        drawn = picture(task, data, step) if config.logging.pictures else None
        return {} if drawn is None else {"samples.png": drawn[1]}

    def networks_of(self, config: Sections) -> tuple[list[NetworkConfig], int]:
        # A step keeps the activations of real and generated points, their gradients, and those of gradients.
        return [self.generator, self.discriminator], 4 * config.data.points_per_step

    def build_compiled_loop(self, config: Sections, trainer: Any, task: Any) -> Any:
        from gaplab.stacked.compiled_game import build_compiled_game

        return build_compiled_game(cast(Any, config), trainer, task)

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
            radius = 0.0 if optimizer is None else optimizer.sharpness_radius
            check(radius == 0, f"{key}.sharpness_radius", "0 for a GAN, which minimises no loss", radius)
        if config.schedule is not None:
            raise ConfigError(
                "schedule: expected null: a GAN has two optimisers; optimizer.schedule moves each."
            )
        trainer, data = config.trainer, config.data
        for key in ("stop_at_train_loss", "stop_at_train_accuracy"):
            value = getattr(trainer, key)
            check(value is None, f"trainer.{key}", "null: a GAN has no such level", value)
        for key in ("ema_decay", "swa_start"):
            value = getattr(trainer, key)
            check(value is None, f"trainer.{key}", "null: task.ema averages a GAN's generator", value)
        for key, ordinary in (("accumulate_grad_batches", 1), ("gradient_clip_val", None)):
            value = getattr(trainer, key)
            check(
                value == ordinary,
                f"trainer.{key}",
                f"{ordinary or 'null'}: each player steps by itself",
                value,
            )
        check(data.noise_dimensions == 0, "data.noise_dimensions", "0 for a GAN", data.noise_dimensions)
        check_law(config)
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
