"""Settings of the tasks: what is learned, and by which loss."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, cast

from gaplab.config.checks import check, check_at_least, check_not_negative
from gaplab.config.network import NetworkConfig, build_network
from gaplab.config.registry import choice, without_builder
from gaplab.config.sections import Sections
from gaplab.errors import ConfigError


class ClassificationLoss(StrEnum):
    cross_entropy = "cross_entropy"
    squared_error = "squared_error"
    hinge = "hinge"
    perceptron = "perceptron"


class Compiling(NamedTuple):
    """What compiling a stacked step takes where nothing is cached, and what it saves on one core, in seconds."""

    takes: float
    saved_by_step: float
    """A model-step."""
    saved_by_point: float = 0.0
    """A point that is scored."""

    def pays(self, model_steps: int, scored_points: int) -> bool:
        """Whether it is expected to save as much time as it takes."""
        return self.saved_by_step * model_steps + self.saved_by_point * scored_points >= self.takes


@dataclass(kw_only=True, slots=True)
class TaskConfig:
    """Any task; a user's own config derives from this class."""

    monitor: ClassVar[str] = "loss/{split}"
    """Tag of the quantity that selects the best weights on val, and that a sweep minimises."""
    keeps_best: ClassVar[bool] = True
    """Whether the monitored quantity can tell which weights of a run are the best; if not, the last ones count."""

    unused: ClassVar[tuple[str, ...]] = ()
    """Sections and keys that have no effect on tasks of this kind."""
    has_own_data: ClassVar[bool] = False
    """Whether tasks of this kind bring their data, with batches and epochs of their own."""

    stacks: ClassVar[bool] = False
    """Whether ``hydra/launcher=vectorized`` trains tasks of this kind as stacked models. A ``LossesTask`` whose
    ``from_config`` is the registered builder says it itself."""
    free_in_stacks: ClassVar[tuple[str, ...]] = ()
    """Settings that may differ between stacked runs, because they change no shape and no operation."""
    stacks_any_sizes: ClassVar[bool] = False
    """Whether stacked runs may differ in their number of points: no loss compares the examples of a batch."""
    shards: ClassVar[bool] = False
    """Whether nothing but the forward pass looks at the weights, so that FSDP may shard them over GPUs."""
    why_alone: ClassVar[str | None] = "a single run of its task is faster by itself"
    """Why a single run of this kind is not worth a stack of one; None where it is."""
    compiling: ClassVar[Compiling | None] = None
    """What decides whether a stacked step of this kind is compiled by default; None where it is not."""
    seconds_per_step: ClassVar[float | None] = None
    """A stacked step of one model on one core; None where it follows from the size of the network."""

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        """Return the ``Task`` of a run.

        Args:
            config: The configuration of the run.
            data: Its ``PointDataModule``.
            init_stream: The ``torch.Generator`` that draws the initial weights.

        Raises:
            ConfigError: If a class has no method of its own and no builder is registered for it.
        """
        raise without_builder(self)

    @property
    def unstacked(self) -> str | None:
        """Which of its settings cannot be stacked and why, as the end of a sentence; None where all can."""
        return None

    @property
    def named_classes(self) -> list[str]:
        """Classes of the user's own, ``package.Class``, that are imported to build the task."""
        return []

    def check_names(self) -> None:
        """Raise ``ConfigError`` if a class of ``named_classes`` is not there, or its arguments are wrong."""

    def build_data(self, config: Sections) -> Any:
        """Return the ``LightningDataModule`` of a task that has its own data; None where the module has loaders."""
        return None

    def build_stack_class(self) -> Any:
        """Return the ``Ensemble`` that trains tasks of this kind as stacked models."""
        from gaplab.stacked.losses_tasks import StackedLosses

        return StackedLosses

    def build_compiled_loop(self, config: Sections, trainer: Any, task: Any) -> Any:
        """Return the loop that takes a run's steps in compiled code (``tasks/block_loop.py``), or None.

        Args:
            config: The configuration of the run, whose ``trainer.compile`` says what is wanted.
            trainer: Lightning's, with the data.
            task: What it trains.
        """
        return None

    def check_fits(self, config: Sections) -> None:
        """Raise ``ConfigError`` if other sections of the configuration do not suit the task."""

    def networks_of(self, config: Sections) -> tuple[list[NetworkConfig], int]:
        """Return the networks of a run, and the points whose activations a stacked step of it keeps."""
        return [config.network], max(config.data.points_per_step, 2_048)

    def build_lines(self, config: Sections, data: Any, task: Any) -> dict[str, float]:
        """Return what stays the same in training and is shown beside every measurement, of data module and task."""
        return {}

    def build_last_picture(self, config: Sections, task: Any, data: Any, step: int) -> dict[str, bytes]:
        """Return the pictures that a run of a stack leaves at its end, PNGs by their name in ``figures/``."""
        return {}

    def build_callbacks(
        self, config: Sections, run: Any, recorder: Any, rebuild: Callable[[], Any]
    ) -> list[Any]:
        """Return the callbacks that only tasks of this kind have: pictures, measures at the end.

        Args:
            config: The configuration of the run.
            run: Its ``RunDirectory``.
            recorder: Its ``Recorder``.
            rebuild: Builds the task with its initial weights again.
        """
        return []


def build_pictures(config: Sections, run: Any, figures: Callable[..., Any]) -> list[Any]:
    """Return the callback that draws ``figures`` of a run into its directory; none where no pictures are wanted."""
    from gaplab.callbacks.pictures import Pictures

    logging = config.logging
    if not logging.pictures:
        return []
    every, all_along = logging.pictures_every_n_evaluations, logging.diagnostics == "full"
    return [Pictures(run.figures, figures, every, all_along)]


@choice("task", "classification")
@dataclass(kw_only=True, slots=True)
class ClassificationConfig(TaskConfig):
    """Learn the label of a point."""

    stacks: ClassVar[bool] = True
    free_in_stacks: ClassVar[tuple[str, ...]] = ("label_smoothing", "input_noise", "mixup")
    stacks_any_sizes: ClassVar[bool] = True
    # A batch of 64 and 600 parameters, by eager steps; compiling the scoring as well.
    compiling: ClassVar[Compiling | None] = Compiling(takes=10.0, saved_by_step=40e-6, saved_by_point=7e-7)
    why_alone: ClassVar[str | None] = None

    loss: ClassificationLoss = ClassificationLoss.cross_entropy
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes; used in training, never in the scores."""
    input_noise: float = 0.0
    """Standard deviation of Gaussian noise on the points in training (Bishop 1995); 0 for none."""
    mixup: float = 0.0
    """Alpha of mixup (Zhang et al. 2018): in training a point and its label are mixed with another of the batch, in
    shares drawn from Beta(alpha, alpha); 0 for none."""
    num_members: int = 1
    """Networks of a deep ensemble (Lakshminarayanan et al. 2017): each starts from weights of its own and learns as if
    alone, from the same batches; their mean probabilities are scored. A step costs that many gradients."""

    def __post_init__(self) -> None:
        check_not_negative("task.input_noise", self.input_noise)
        check_not_negative("task.mixup", self.mixup)
        check_at_least("task.num_members", self.num_members, 1)
        check(
            self.num_members == 1 or self.loss is ClassificationLoss.cross_entropy,
            "task.num_members",
            "1 unless task.loss=cross_entropy, as probabilities are averaged",
            self.num_members,
        )
        check(
            0 <= self.label_smoothing < 1,
            "task.label_smoothing",
            "a share in [0, 1)",
            self.label_smoothing,
        )
        check(
            self.label_smoothing == 0 or self.loss is ClassificationLoss.cross_entropy,
            "task.label_smoothing",
            "0 unless task.loss=cross_entropy",
            self.label_smoothing,
        )

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        import functools

        from gaplab.data.outputs import check_outputs
        from gaplab.losses.augmentation import Augmentation
        from gaplab.losses.classification import LOSSES, cross_entropy, over_members
        from gaplab.networks.committee import Committee
        from gaplab.tasks.classifier import Classifier

        if not hasattr(data, "num_classes"):
            raise ConfigError(
                "task: expected tensors or Datasets to classify, but the data are the data module "
                f"{type(data).__name__}. Return its Datasets by split, or take task=lightning."
            )
        if data.num_classes < 2:
            what = "this point set has one" if data.num_classes else "these points have real targets"
            raise ConfigError(
                f"task: expected at least two classes to tell apart, but {what}. "
                + ("Learn its law with task=gan." if data.num_classes else "Use task=regression.")
            )
        score = loss_fn = LOSSES[self.loss]
        if self.label_smoothing:
            loss_fn = functools.partial(cross_entropy, label_smoothing=self.label_smoothing)
        members = [
            build_network(
                config.network,
                in_features=data.in_features,
                out_features=data.num_classes,
                example_shape=data.example_shape,
                generator=init_stream,
            )
            for _ in range(self.num_members)
        ]
        network = members[0] if len(members) == 1 else Committee(members)
        loss_fn = loss_fn if len(members) == 1 else over_members(loss_fn)
        check_outputs(network, data, (data.num_classes,))
        return Classifier(
            network,
            loss_fn,
            score,
            optimizer=config.optimizer,
            num_steps=config.num_steps,
            train_seed=config.train_seed,
            augmentation=Augmentation(self.input_noise, self.mixup),
        )

    def networks_of(self, config: Sections) -> tuple[list[NetworkConfig], int]:
        networks, points = TaskConfig.networks_of(self, config)
        return networks * self.num_members, points

    def build_callbacks(
        self, config: Sections, run: Any, recorder: Any, rebuild: Callable[[], Any]
    ) -> list[Any]:
        from gaplab.callbacks.measures import FinalMeasures
        from gaplab.callbacks.projector import Projector
        from gaplab.tasks.classifier_figures import classifier_figures

        callbacks = build_pictures(config, run, classifier_figures)
        if config.logging.projector:
            callbacks.append(Projector())
        return [*callbacks, FinalMeasures(config.measures, rebuild, recorder)]

    def build_compiled_loop(self, config: Sections, trainer: Any, task: Any) -> Any:
        from gaplab.stacked.compiled_loop import build_compiled_loop

        return build_compiled_loop(cast(Any, config), trainer, task)

    def build_stack_class(self) -> Any:
        from gaplab.stacked.classifiers import StackedClassifiers

        return StackedClassifiers

    def build_lines(self, config: Sections, data: Any, task: Any) -> dict[str, float]:
        from gaplab.callbacks.measures import bound_lines

        return bound_lines(config.measures, data, task.network)
