"""A task in one method: what a user writes is a loss for every example; all else comes from here."""

import functools
import math
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from gaplab.config.network import build_network
from gaplab.config.optimizer import OptimizerConfig
from gaplab.config.sections import Sections
from gaplab.data.dataset_loader import DatasetSplitLoader
from gaplab.data.loader import Batch, SplitLoader
from gaplab.data.outputs import check_outputs
from gaplab.errors import ConfigError, DivergedError
from gaplab.metrics.gap import ExampleMean, Mean
from gaplab.metrics.scorecard import gap_table
from gaplab.networks import Dropout, draw_dropout_masks
from gaplab.randomness import make_generator
from gaplab.tasks.optimizers import build_optimizer, build_schedule, l2_penalty, reapply_hparams
from gaplab.tasks.task import Task
from gaplab.tasks.unpacking import points_and_labels

EVALUATION_SEED = 0
"""Of the numbers that a loss draws while it is measured: the same at every measurement of every run."""
_IDLE = torch.Generator()
SPLITS = {1: ("val",), 2: ("train", "test"), 3: ("train", "val", "test")}
"""What validation loaders measure, by their number, where the data module does not name its splits."""


class LossesTask(Task):
    """Trains by the mean of ``losses`` and measures its gap, and that of every score and metric, on all splits.

    A subclass writes ``losses``, and may write ``score`` and ``predictions``, and set ``metrics`` and
    ``higher_is_better``. Further networks are attributes, as in any LightningModule, set after ``super().__init__``.

    Args:
        network: What is trained.
        optimizer: The ``optimizer`` section.
        num_steps: Optimiser steps of the run; the learning-rate schedule ends there.
        train_seed: Seed of what ``losses`` draws, and of the dropout masks.
    """

    quantities: ClassVar = {"loss/train_batch": "the loss"}
    stacks: ClassVar[bool] = True
    """Whether ``hydra/launcher=vectorized`` may train tasks of this kind as stacked models."""
    metrics: Mapping[str, Metric] = {}
    """torchmetrics by name, which see ``predictions`` of every batch of a split. Their gaps have no error bars."""
    draws: bool = True
    """Whether ``losses`` draws random numbers: seeding their generator takes as long as a small layer."""
    higher_is_better: Collection[str] = ()
    """Names of scores that are larger where the model is better; metrics of torchmetrics say it themselves."""

    def __init__(
        self, network: nn.Module, *, optimizer: OptimizerConfig, num_steps: int, train_seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer_config = optimizer
        self.num_steps = num_steps
        self.train_seed = train_seed
        self.scores: dict[str, dict[str, Mean]] = {}
        """Quantities by split at the latest measurement."""
        self._split_names: list[str] = []
        self._means: list[dict[str, ExampleMean]] = []
        self._metrics: list[dict[str, Metric]] = []

    section: Any = None
    """The ``task`` section, where ``from_config`` built the task."""

    @classmethod
    def from_config(cls, section: Any, config: Sections, data: Any, init_stream: torch.Generator) -> Self:
        """Build the task with one network, which has an output a class, or a target; a builder for ``register``.

        Args:
            section: The ``task`` section; the task keeps it as ``section``.
            config: The configuration of the run.
            data: Its ``PointDataModule``.
            init_stream: Draws the initial weights.

        Raises:
            ConfigError: If the data are a data module that does not tell its shapes.
        """
        if not hasattr(data, "num_classes"):
            raise ConfigError(
                "task: expected tensors or Datasets, whose shapes say what network is needed, but the data are the "
                f"data module {type(data).__name__}. Register a builder in place of {cls.__name__}.from_config."
            )
        out_features = data.num_classes or math.prod(data.target_shape)
        network = build_network(
            config.network,
            in_features=data.in_features,
            out_features=out_features,
            example_shape=data.example_shape,
            generator=init_stream,
        )
        check_outputs(network, data, (out_features,))
        task = cls(
            network,
            optimizer=config.optimizer,
            num_steps=config.num_steps,
            train_seed=config.train_seed,
        )
        task.section = section
        return task

    @abstractmethod
    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the loss of every example, [B].

        Args:
            batch: ``points`` [B, ...] and ``labels`` [B, ...] of this process.
            generator: Source of all random numbers, on the CPU. Draw them for the whole batch and keep those of this
                process, ``batch.part(torch.randn(batch.global_batch_size, ..., generator=generator))``, and
                the numbers of a run do not depend on its number of processes.
        """

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return further values of every example, each [B]; called in eval mode.

        A ``loss`` among them is measured in place of ``losses``.
        """
        return {}

    def predictions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what ``metrics`` compare: outputs and labels, in one shape if they have equally many numbers."""
        outputs: Tensor = self(batch.points)
        return outputs.view_as(
            batch.labels
        ) if outputs.numel() == batch.labels.numel() else outputs, batch.labels

    def forward(self, points: Any) -> Any:
        """Return the outputs of the network."""
        return self.network(points)

    @functools.cached_property
    def uses_dropout(self) -> bool:
        """Whether masks of our own dropout have to be drawn; ``nn.Dropout`` draws by itself."""
        return any(isinstance(module, Dropout) for module in self.modules())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the mean training loss over this process's part of the batch, a scalar."""
        batch = self._training_batch(batch)
        if self.uses_dropout:
            self.draw_dropout(batch)
        draws = make_generator(self.train_seed, "losses", batch.step) if self.draws else _IDLE
        losses = self.checked_losses(batch, draws)
        # A part may be empty, where there are more processes than points left in an epoch.
        loss = losses.mean() if len(losses) else losses.sum()
        self.note("loss/train_batch", batch, loss)
        return loss

    def checked_losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return ``losses``, of which there must be one an example.

        Raises:
            ConfigError: If there are more or fewer.
        """
        losses = self.losses(batch, generator)
        self._check_shape("losses", losses, batch)
        return losses

    def draw_dropout(self, batch: Batch) -> None:
        """Draw the masks of the whole batch and keep those of this process's part."""
        draw_dropout_masks(
            self, batch.global_batch_size, make_generator(self.train_seed, "dropout", batch.step)
        )
        for layer in self.modules():
            if isinstance(layer, Dropout):
                layer.mask = batch.part(layer.mask)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Limit the norm of the whole gradient, and do what the Trainer's flags ask for."""
        if self.optimizer_config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters(), self.optimizer_config.max_grad_norm)
        if gradient_clip_val:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.optimizer_config, self.parameters())
        schedule = build_schedule(self.optimizer_config, optimizer, self.num_steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        schedule = self.lr_schedulers()
        reapply_hparams(
            self.optimizer_config,
            self.trainer.optimizers[0],
            schedule if isinstance(schedule, LRScheduler) else None,
        )

    def scorecard(self) -> dict[str, float]:
        """Return the table of the latest measurement."""
        better = {name for name, metric in self.metrics.items() if metric.higher_is_better}
        return gap_table(
            self.scores, better | set(self.higher_is_better), l2_penalty(self.optimizer_config, self)
        )

    def on_validation_epoch_start(self) -> None:
        loaders = self._validation_loaders()
        named = getattr(getattr(self.trainer, "datamodule", None), "splits", None)
        if isinstance(named, Mapping) and len(named) == len(loaders):
            self._begin_measuring(list(named))
        else:
            self._begin_measuring(list(SPLITS.get(len(loaders), map(str, range(len(loaders))))))

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        generator = self._measuring_generator(batch_idx, dataloader_idx)
        self._measure_batch(self._measured_batch(batch, batch_idx, dataloader_idx), dataloader_idx, generator)

    def on_validation_epoch_end(self) -> None:
        """Keep the scores of all splits and hand them to Lightning's callbacks.

        Raises:
            DivergedError: If the latest step of training spoilt the weights, which no batch has seen yet.
        """
        self._end_measuring()
        loss = self.scores[next(iter(self.scores))]["loss"].mean
        if self.trainer.state.fn == "fit" and not math.isfinite(loss):
            raise DivergedError("the loss on the training set", self.trainer.global_step)
        for split, quantities in self.scores.items():
            for name, value in quantities.items():
                self.log(f"{name}/{split}", value.mean, logger=False)

    def measure(self, data: Any) -> dict[str, float]:
        """Return the table of all splits of a ``PointDataModule``, each measured whole, without a Trainer."""
        names = list(data.splits)
        self._begin_measuring(names)
        for place, loader in enumerate(data.split_loaders()):
            for number, (points, labels) in enumerate(loader):
                first = loader.first + number * loader.chunk_size
                batch = Batch(points, labels, first, loader.num_points, number)
                generator = make_generator(EVALUATION_SEED, "evaluation", names[place])
                self._measure_batch(batch, place, generator)
        self._end_measuring()
        return self.scorecard()

    def _begin_measuring(self, names: list[str]) -> None:
        self._split_names = names
        self._means = [{} for _ in names]
        self._metrics = [
            {name: metric.clone().to(self.device) for name, metric in self.metrics.items()} for _ in names
        ]

    def _measure_batch(self, batch: Batch, place: int, generator: torch.Generator) -> None:
        """Add the values of a batch of the split at a place to its means and metrics."""
        values, means = self.score(batch), self._means[place]
        if "loss" not in values:
            values = {"loss": self.losses(batch, generator)} | values
        for name, value in values.items():
            self._check_shape("losses" if name == "loss" else f"score, {name}", value, batch)
            if name not in means:
                means[name] = ExampleMean().to(self.device)
            means[name].update(value)
        if self.metrics:
            predicted, true = self.predictions(batch)
            for metric in self._metrics[place].values():
                metric.update(predicted, true)

    def _end_measuring(self) -> None:
        """Fill ``scores``."""
        self.scores = {}
        for split, means, metrics in zip(self._split_names, self._means, self._metrics, strict=True):
            found = {name: meter.compute() for name, meter in means.items()}
            num_points = next(iter(found.values())).num_points
            values = {name: Mean(_number(name, metric), None, num_points) for name, metric in metrics.items()}
            self.scores[split] = found | values

    def _training_batch(self, batch: Any) -> Batch:
        """Return our own batch as it is, and that of another loader with its place among all processes."""
        if isinstance(batch, Batch):
            return batch
        points, labels = points_and_labels(batch)
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        number = self.trainer.fit_loop.epoch_loop.total_batch_idx
        return Batch(points, labels, rank * len(labels), world_size * len(labels), number)

    def _measured_batch(self, batch: Any, batch_idx: int, dataloader_idx: int) -> Batch:
        """Return a batch of a split with its place in the split, so far as the loader tells."""
        points, labels = points_and_labels(batch)
        loader = self._validation_loaders()[dataloader_idx]
        if isinstance(loader, SplitLoader | DatasetSplitLoader):
            first = loader.first + batch_idx * loader.chunk_size
            return Batch(points, labels, first, loader.num_points, batch_idx)
        return Batch(points, labels, 0, len(labels), batch_idx)

    def _measuring_generator(self, batch_idx: int, dataloader_idx: int) -> torch.Generator:
        stream: list[str | int] = ["evaluation", self._split_names[dataloader_idx]]
        if not isinstance(self._validation_loaders()[dataloader_idx], SplitLoader | DatasetSplitLoader):
            stream += [batch_idx, self.trainer.global_rank]  # which place it has in the split is not known
        return make_generator(EVALUATION_SEED, *stream)

    def _validation_loaders(self) -> list[Any]:
        loaders = self.trainer.val_dataloaders
        return list(loaders) if isinstance(loaders, list | tuple) else [loaders]

    def _check_shape(self, what: str, values: Tensor, batch: Batch) -> None:
        if values.shape != (len(batch.labels),):
            raise ConfigError(
                f"{type(self).__name__}.{what}: expected one number an example, of shape [{len(batch.labels)}], but "
                f"got shape {list(values.shape)}. Sum or average over all dimensions but the first; losses of torch "
                "take reduction='none'."
            )


def _number(name: str, metric: Metric) -> float:
    value = metric.compute()
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ConfigError(
            f"metrics, {name}: expected a metric with one number, but {type(metric).__name__} gives "
            f"{list(value.shape) if isinstance(value, Tensor) else type(value).__name__}. Ask it for an average."
        )
    return float(value)
