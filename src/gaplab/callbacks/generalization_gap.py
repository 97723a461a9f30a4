"""The generalization gap of anybody's LightningModule: whatever it logs in validation, on every split."""

import math
from collections.abc import Collection, Mapping, Sized
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

from gaplab.callbacks.evaluation_loaders import evaluation_loaders
from gaplab.callbacks.nested_evaluation import validate_on
from gaplab.data.datamodule import PointDataModule
from gaplab.errors import ConfigError
from gaplab.metrics.logged_names import gap_table, is_better_when_higher, quantity_names


class GeneralizationGap(Callback):
    """Measures a module on train, val and test at the same weights in eval mode, at every validation and at the end.

    What ``validation_step`` and ``on_validation_epoch_end`` log, numbers, tensors or metrics of torchmetrics, becomes
    a value a split, ``loss/train``, ``loss/val``, ``loss/test``, and a gap, ``gap/loss``: how much worse the test split
    is. Names such as ``val_loss`` and ``val/acc`` lose their split. All go to the Trainer's loggers and to
    ``trainer.callback_metrics``, where ``ModelCheckpoint(monitor="gap/loss")`` finds them, and stay here in ``table``
    and ``history``::

        gap = GeneralizationGap()
        Trainer(callbacks=[gap]).fit(module, datamodule=data)
        print(gap.table)

    Every point counts once, with one process or many; a value that the module averages by hand over batches is
    averaged over processes as Lightning does it. Training is the same bit for bit with the callback and without, as
    long as data draw from the global generators of torch, NumPy and ``random``. An augmented training set is measured
    as it is given, with augmentation, unless the data module has a method ``splits()``.

    Args:
        higher_is_better: Names of quantities that are wanted to be large, or a dict with True or False by name. For
            others it follows from the metric of torchmetrics, or from a name such as ``acc``, ``auroc`` or ``r2``.
        max_batches: Measure only so many batches of every split; needed for iterable data without a length.
        log: Whether to hand the values to the Trainer's loggers.
    """

    def __init__(
        self,
        higher_is_better: Collection[str] | Mapping[str, bool] = (),
        max_batches: int | None = None,
        log: bool = True,
    ) -> None:
        told = higher_is_better
        self.told = dict(told) if isinstance(told, Mapping) else dict.fromkeys(told, True)
        self.max_batches = max_batches
        self.log = log
        self.table: dict[str, float] = {}
        """The latest measurement, a number a tag."""
        self.history: dict[int, dict[str, float]] = {}
        """All measurements, by optimiser step."""
        self.higher: dict[str, bool] = {}
        """In which direction better lies, by quantity."""
        self.names: dict[str, str] = {}
        """The quantity behind each name that the module logs."""
        self.num_points: dict[str, int] = {}
        """Points of each split whose loader tells its data set."""
        self._loaders: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = dict(state_dict["history"])
        self.table = self.history.get(max(self.history, default=0), {})

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._loaders = None
        if stage in ("fit", "validate") and not is_overridden("validation_step", pl_module):
            raise ConfigError(
                f"GeneralizationGap: expected a validation_step that logs what is to be measured, but "
                f"{type(pl_module).__name__} has none."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loaders = trainer.val_dataloaders
        number = len(loaders) if isinstance(loaders, list | tuple) else 1
        if number > 1 and not is_param_in_hook_signature(pl_module.validation_step, "dataloader_idx"):
            raise ConfigError(
                "GeneralizationGap: expected validation_step(batch, batch_idx, dataloader_idx=0), as val_dataloader "
                f"returns {number} loaders, but that of {type(pl_module).__name__} takes no dataloader_idx. Add it, or "
                "let val_dataloader return one of them."
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.measure(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step not in self.history:
            self.measure(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """End workers that wait for the next measurement; the garbage collector would wait for each of them."""
        if self._loaders is not None:
            CombinedLoader(self._loaders).reset()
            self._loaders = None

    def measure(self, trainer: Trainer) -> dict[str, float]:
        """Measure all splits now; return the table.

        Raises:
            ConfigError: If a split cannot be measured (see ``evaluation_loaders``), or nothing is logged.
        """
        if self._loaders is None:
            self._loaders = evaluation_loaders(trainer, self.max_batches)
            data = {name: getattr(loader, "dataset", None) for name, loader in self._loaders.items()}
            self.num_points = {
                name: len(points) for name, points in data.items() if isinstance(points, Sized)
            }
        scores: dict[str, dict[str, float]] = {}
        for split, loader in self._loaders.items():
            logged = validate_on(trainer, loader, self.max_batches)
            self.names |= quantity_names(logged.values)
            scores[split] = {self.names[n]: v for n, v in logged.values.items() if n in self.names}
            for name, quantity in self.names.items():
                known = logged.higher_is_better.get(name, is_better_when_higher(quantity))
                self.higher[quantity] = self.told.get(name, self.told.get(quantity, known))
        if not any(scores.values()):
            raise ConfigError(
                "GeneralizationGap: expected a validation_step that logs what is to be measured, as in "
                f'self.log("val_loss", loss), but {type(trainer.lightning_module).__name__} logs no number.'
            )
        self.table = gap_table(scores, {name for name, higher in self.higher.items() if higher})
        if trainer.state.fn == "fit":
            self.history[trainer.global_step] = self.table
        if self.log:
            step = trainer.fit_loop.epoch_loop._batches_that_stepped  # the x axis of what the module logs
            for logger in trainer.loggers:
                logger.log_metrics(self.table, step=step)
        trainer.callback_metrics.update({tag: torch.tensor(value) for tag, value in self.table.items()})
        return self.table


def training_points(trainer: Trainer) -> tuple[int, float | None]:
    """Return the number of training points, and how often they were seen (None for point sets, where steps say it)."""
    data, gap = trainer.datamodule, gap_of(trainer)  # type: ignore[attr-defined]
    if isinstance(data, PointDataModule):
        return len(data.splits["train"]), None
    batches, completed = (
        trainer.num_training_batches,
        trainer.fit_loop.epoch_loop.batch_progress.total.completed,
    )
    epochs = float(trainer.current_epoch) if batches == math.inf else completed / batches
    return 0 if gap is None else gap.num_points.get("train", 0), epochs


def gap_of(trainer: Trainer) -> GeneralizationGap | None:
    """Return the callback that measures what a Trainer trains; None where the module measures itself."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((one for one in callbacks if isinstance(one, GeneralizationGap)), None)


def measures_itself(module: LightningModule) -> bool:
    """Return whether a module measures all splits itself and tells by a method ``scorecard``."""
    return callable(getattr(module, "scorecard", None))


def scorecard(module: LightningModule) -> dict[str, float]:
    """Return the table of the latest measurement of a module, a number a tag.

    A module that measures all splits itself has a method ``scorecard``, as the tasks of this package have; every other
    one is measured by ``GeneralizationGap``. A module that has not been measured has an empty table.
    """
    if measures_itself(module):
        table: dict[str, float] = module.scorecard()  # type: ignore[operator]
        return table
    callback = gap_of(module.trainer)
    return {} if callback is None else callback.table
