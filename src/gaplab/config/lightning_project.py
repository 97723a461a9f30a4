"""Settings of a Lightning project of somebody's own: which module, which data module, and their arguments."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from omegaconf import DictConfig

from gaplab.config.checks import check
from gaplab.config.named_classes import import_class
from gaplab.config.registry import choice
from gaplab.config.sections import Sections
from gaplab.config.signatures import check_arguments
from gaplab.config.task import TaskConfig
from gaplab.errors import ConfigError


def _of_any_name() -> Any:
    """Return an empty mapping that takes ``task.module_args.NAME=value`` for every name."""
    return DictConfig({}, flags={"struct": False})


@choice("task", "lightning")
@dataclass(kw_only=True, slots=True)
class LightningConfig(TaskConfig):
    """Train an existing LightningModule on its own data, unchanged."""

    unused: ClassVar[tuple[str, ...]] = ("data", "network", "optimizer", "schedule", "measures", "shared_rng")
    has_own_data: ClassVar[bool] = True
    shards: ClassVar[bool] = True

    module: str = ""
    """The LightningModule as ``package.module.Class``, in the working directory or in ``extensions=[path.py]``."""
    module_args: dict[str, Any] = field(default_factory=_of_any_name)
    """Arguments of the module, for example ``task.module_args.lr=1e-3``."""
    datamodule: str | None = None
    """The LightningDataModule; null where the module has loaders of its own."""
    datamodule_args: dict[str, Any] = field(default_factory=_of_any_name)
    """Arguments of the data module, for example ``task.datamodule_args.batch_size=32``."""
    monitor: str | None = None  # type: ignore[assignment, misc]
    """The logged value that selects the best weights and that a sweep minimises, for example ``val_loss``; null for the
    first logged loss."""
    monitor_mode: str | None = None
    """``min`` or ``max``; null: what the name says, ``max`` for an accuracy."""
    max_batches: int | None = None
    """Batches of each split that are measured; null for all. Data without a length need it."""

    def __post_init__(self) -> None:
        check(
            self.module != "", "task.module", "a LightningModule, as in task.module=mypkg.LitCNN", self.module
        )
        check(self.monitor_mode in (None, "min", "max"), "task.monitor_mode", "min or max", self.monitor_mode)

    @property
    def named_classes(self) -> list[str]:
        return [self.module, *([self.datamodule] if self.datamodule else [])]

    def check_fits(self, config: Sections) -> None:
        """Raise ``ConfigError`` for levels of a loss or an accuracy that the module need not have."""
        for key in ("stop_at_train_loss", "stop_at_train_accuracy"):
            value = getattr(config.trainer, key)
            check(
                value is None,
                f"trainer.{key}",
                "null: the module stops by an EarlyStopping in configure_callbacks",
                value,
            )

    def check_names(self) -> None:
        """Import the classes and compare the arguments with their signatures.

        Raises:
            ConfigError: For the first mistake, with the nearest right name.
        """
        self.build_classes()

    def build_classes(self) -> tuple[Any, Any]:
        """Return the classes of module and data module (or None), whose arguments have been checked."""
        from lightning.pytorch import LightningDataModule, LightningModule

        module, data = import_class(self.module, "task.module", LightningModule), None
        check_arguments(module, self.module_args, "task.module_args")
        if self.datamodule is not None:
            data = import_class(self.datamodule, "task.datamodule", LightningDataModule)
            check_arguments(data, self.datamodule_args, "task.datamodule_args")
        elif self.datamodule_args:
            raise ConfigError(
                "task.datamodule_args: expected task.datamodule=mypkg.CLASS beside it, but it is null."
            )
        return module, data

    def build_data(self, config: Sections) -> Any:
        data = self.build_classes()[1]
        return None if data is None else data(**self.datamodule_args)

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        return self.build_classes()[0](**self.module_args)
