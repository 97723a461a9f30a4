"""The GAN: two networks that play a game, and the measurement of what the generator draws."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gaplab.config.gan import GANConfig
from gaplab.config.optimizer import OptimizerConfig
from gaplab.data.datamodule import PointDataModule
from gaplab.data.loader import Batch
from gaplab.data.splits import Split
from gaplab.errors import DivergedError
from gaplab.networks.conditioning import pack_samples
from gaplab.randomness import make_generator
from gaplab.tasks.gan_losses import (
    Discriminate,
    Discriminator,
    Generator,
    clip_weights,
    discriminator_loss,
    draw_latents,
    fourier_amplitude,
    generator_loss,
    move_average,
    penalties_are_due,
    penalties_of,
    penalty_factor,
    unpenalised,
)
from gaplab.tasks.gan_rejection import acceptance_of, reject_samples, score_caps
from gaplab.tasks.gan_scores import SampleScorer, discriminator_scores, warn_of_collapse
from gaplab.tasks.law_scores import SHAPE_POINTS, LawScores
from gaplab.tasks.optimizers import (
    build_optimizer,
    build_schedule,
    reapply_hparams,
)
from gaplab.tasks.task import Task

OPPONENTS = 10_000
"""Generated points that the discriminator is measured against, and most points of a split while training."""


class GAN(Task):
    """Trains a generator of points against a discriminator.

    Inside, points are divided by ``scale``, so that all data sets suit the same settings.

    Args:
        generator: Maps latent variables and labels to points over ``scale``.
        discriminator: Maps packs of such points, and labels, to scores.
        config: The ``task`` section.
        optimizer: The ``optimizer`` section, for the generator, and for the discriminator if it has none.
        scale: Standard deviation of the training points over all coordinates.
        num_steps: Steps of the run; schedules end there.
        train_seed: Seed of all latent variables.
        law_scores: Scores that need the formula of the data's law, if it has one.
    """

    monitor = GANConfig.monitor
    quantities: ClassVar = {
        "loss/discriminator_batch": "the discriminator's loss",
        "loss/generator_batch": "the generator's loss",
    }

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        config: GANConfig,
        optimizer: OptimizerConfig,
        scale: float,
        num_steps: int,
        train_seed: int,
        law_scores: LawScores | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        """Moving average of the generator: what is measured and shown."""
        self.scale: Tensor
        self.register_buffer("scale", torch.tensor([scale]))
        self.config = config
        self.optimizer_configs = (config.discriminator_optimizer or optimizer, optimizer)
        self.num_steps = num_steps
        self.train_seed = train_seed
        self.scorer = SampleScorer(law_scores, conditional=config.label_embedding > 0, seed=train_seed)
        self.schedules: list[LambdaLR | None] = []
        self.accepted = 1.0
        """Share of the samples drawn last that were kept."""
        self._table: dict[str, float] = {}
        self._collapsed = False

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return points [P, D] of latents [P, L] and labels [P], in the units of the data."""
        return torch.mul(self.average(latents, labels), self.scale)

    def discriminate(self, labels: Tensor) -> Discriminate:
        """Return the discriminator for packs with the given labels, once or several times in a row."""

        def scores(packs: Tensor) -> Tensor:
            repeats = len(packs) * self.config.pack // len(labels)
            return torch.as_tensor(self.discriminator(packs, labels.repeat(repeats)))

        return scores

    @torch.no_grad()
    def field(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return the discriminator's scores [P] of packs that repeat one of the points [P, D] each."""
        packs = (points / self.scale).repeat(1, self.config.pack)
        training = self.discriminator.training
        self.discriminator.eval()  # a picture taken while training moves no estimate of a norm
        scores = self.discriminate(labels.repeat_interleave(self.config.pack))(packs)
        self.discriminator.train(training)
        return scores

    def packs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return real and generated packs of this process's part of a batch."""
        draws = make_generator(self.train_seed, "latent", batch.step)
        latents = draw_latents(self.config, batch.global_batch_size, draws)
        own = latents[batch.offset : batch.offset + len(batch.points)].to(batch.points)
        fake = self.generator(own, batch.labels)
        return pack_samples(batch.points / self.scale, self.config.pack), pack_samples(fake, self.config.pack)

    def discriminator_phase(self, batch: Batch) -> Tensor:
        """Return the discriminator's loss over this process's part of a batch, a scalar."""
        with torch.no_grad():
            real, fake = self.packs(batch)
        config = self.config if penalties_are_due(self.config, batch.step) else unpenalised(self.config)
        draws = make_generator(self.train_seed, "mixing", batch.step)
        first = batch.offset // self.config.pack
        mixing = torch.rand(
            batch.global_batch_size // self.config.pack, 1, generator=draws, dtype=torch.float32
        )
        return discriminator_loss(
            config,
            self.discriminate(batch.labels),
            real,
            fake,
            mixing=mixing[first : first + len(real)].to(real),
            penalties=penalties_of(config, penalty_factor(config, batch.step, self.num_steps)),
        )

    def generator_phase(self, batch: Batch) -> Tensor:
        """Return the generator's loss over this process's part of a batch, a scalar."""
        return generator_loss(self.config, self.discriminate(batch.labels), *self.packs(batch))

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Take a step of the discriminator, and the generator's when it is due."""
        if self.discriminator.fourier is not None:
            amplitude = fourier_amplitude(self.config, batch.step, self.num_steps)
            self.discriminator.fourier.amplitude.fill_(amplitude)
        of_discriminator, of_generator = self.optimizers()  # type: ignore[attr-defined]
        due, answer = (batch.step + 1) % self.config.discriminator_steps == 0, self.answer(batch)
        if due and self.config.simultaneous:
            loss = answer()  # whose gradients the discriminator's phase leaves alone
            answer = lambda: loss  # noqa: E731
        of_discriminator.step(closure=self.closure(0, batch, self.discriminator_phase))
        self.move_schedule(0)
        if self.config.clip_weights is not None:
            clip_weights(self.discriminator, self.config.clip_weights)
        if not due:
            return
        # Through the strategy, because the optimiser that Lightning wraps would count a second step of the
        # x axis for this batch.
        self.trainer.strategy.optimizer_step(of_generator.optimizer, answer)
        self.move_schedule(1)
        count = batch.step // self.config.discriminator_steps
        move_average(self.average, self.generator, self.config.ema, count)

    def closure(self, player: int, batch: Batch, phase: Callable[[Batch], Tensor]) -> Callable[[], Tensor]:
        """Return the function that gives a player its gradients."""

        def evaluate() -> Tensor:
            self.trainer.optimizers[player].zero_grad()
            loss = phase(batch)
            self.manual_backward(loss)
            self.note(tuple(self.quantities)[player], batch, loss)
            return loss.detach()

        return evaluate

    def answer(self, batch: Batch) -> Callable[[], Tensor]:
        """Return the function that gives the generator its gradients, and the discriminator none."""
        evaluate = self.closure(1, batch, self.generator_phase)

        def without_discriminator() -> Tensor:
            self.discriminator.requires_grad_(False)
            loss = evaluate()
            self.discriminator.requires_grad_(True)
            return loss

        return without_discriminator

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Limit the norm of the gradient of one player."""
        player = self.trainer.optimizers.index(optimizer)
        norm = self.optimizer_configs[player].max_grad_norm
        if norm is not None:
            network = (self.discriminator, self.generator)[player]
            nn.utils.clip_grad_norm_(network.parameters(), norm)

    def move_schedule(self, player: int) -> None:
        schedule = self.schedules[player]
        if schedule is not None:
            schedule.step()

    def configure_optimizers(self) -> Any:
        networks = (self.discriminator, self.generator)
        pairs = zip(self.optimizer_configs, networks, strict=True)
        optimizers = [build_optimizer(config, network.parameters()) for config, network in pairs]
        self.schedules = [
            build_schedule(config, optimizer, self.num_steps // every)
            for config, optimizer, every in zip(
                self.optimizer_configs, optimizers, (1, self.config.discriminator_steps), strict=True
            )
        ]
        return optimizers, [schedule for schedule in self.schedules if schedule is not None]

    def on_train_start(self) -> None:
        for config, optimizer, schedule in zip(
            self.optimizer_configs, self.trainer.optimizers, self.schedules, strict=True
        ):
            reapply_hparams(config, optimizer, schedule)

    def final_scores(self, data: PointDataModule, step: int) -> dict[str, float]:
        """Return all scores, the slow tests included.

        Raises:
            DivergedError: If the generator draws anything but finite points.
        """
        return self.measure(data, step, full=True)

    def scorecard(self) -> dict[str, float]:
        """Return the table of the latest measurement."""
        return self._table

    @torch.no_grad()
    def draw_samples(self, num_points: int, train: Split, stream: str) -> tuple[Tensor, Tensor]:
        """Return fresh samples [P, D] and labels [P], which follow the shares of the training labels.

        With ``rejection_quantile`` the discriminator chooses among them, and ``accepted`` is the share that it kept.
        """
        draws = make_generator(self.train_seed, "samples", stream)
        points, labels = self._draw(num_points, train, draws)
        self.accepted = 1.0
        if self.config.rejection_quantile is None:
            return points, labels
        pool, classes = self._draw(OPPONENTS, train, make_generator(self.train_seed, "cap"))
        quantile, num_classes = self.config.rejection_quantile, int(self._classes(train.labels).max()) + 1
        caps = score_caps(self.field(pool, classes), self._classes(classes), quantile, num_classes)

        def redraw(rows: Tensor) -> Tensor:
            latents = draw_latents(self.config, len(rows), draws).to(points)
            return self(latents, labels[rows])

        def acceptance(points: Tensor, rows: Tensor) -> Tensor:
            return acceptance_of(self.field(points, labels[rows]), caps[self._classes(labels[rows])])

        points, self.accepted = reject_samples(points, acceptance, redraw, draws)
        return points, labels

    def _draw(self, num_points: int, train: Split, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return samples as the generator draws them, and their labels."""
        latents = draw_latents(self.config, num_points, draws).to(train.points)
        chosen = torch.randint(len(train), (num_points,), generator=draws)
        labels = train.labels[chosen.to(train.labels.device)]
        return self(latents, labels), labels

    def _classes(self, labels: Tensor) -> Tensor:
        """Return the labels that a discriminator knows: all are 0 for an unconditional one."""
        return labels if self.config.label_embedding else torch.zeros_like(labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Nothing: a measurement compares whole point sets, and every process makes the same one."""

    def on_validation_epoch_end(self) -> None:
        """Measure quickly: the slow tests are ``final_scores``'."""
        data: PointDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        self._table = self.measure(data, self.trainer.global_step, full=False)
        if "val" in data.splits:
            tag = self.monitor.format(split="val")
            self.log(tag, self._table[tag], logger=False)

    @torch.no_grad()
    def measure(self, data: PointDataModule, step: int, *, full: bool) -> dict[str, float]:
        """Return the scores of fresh samples and of the discriminator, with the slow tests if ``full``.

        Every measurement is of the same noise: curves are smoother, and the last point agrees with the result.

        Raises:
            DivergedError: If the generator draws anything but finite points.
        """
        count = min(self.config.num_samples, *(len(split) for split in data.splits.values()))
        points, labels = self.draw_samples(count, data.splits["train"], "final")
        if not points.isfinite().all():
            raise DivergedError("a generated point", step)
        if not self._collapsed:
            self._collapsed = warn_of_collapse(points, self.scale, self.run_name)
        assert data.draw is not None, "GANConfig.build asks for a law"
        accepted = {} if self.config.rejection_quantile is None else {"rejection/accepted": self.accepted}
        many = self.draw_samples(SHAPE_POINTS, data.splits["train"], "shapes")[0] if full else None
        if many is not None and not many.isfinite().all():
            raise DivergedError("a generated point", step)
        table = self.scorer.scores(points, labels, data.splits, data.draw, full=full, many=many) | accepted
        pool = draw_latents(self.config, OPPONENTS, make_generator(self.train_seed, "opponents"))
        most, config = None if full else OPPONENTS, self.config
        return table | discriminator_scores(
            config, self.generator, self.discriminate, self.scale, data.splits, pool, most
        )
