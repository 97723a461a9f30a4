"""A learning-rate schedule of torch's in place of the one that a module brings."""

import warnings
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from gaplab.config.schedule import Interval
from gaplab.errors import ConfigError
from gaplab.runs.recorder import Recorder

NEVER = 2**62
"""A frequency at which Lightning never moves a schedule."""


class TorchSchedule(Callback):
    """Gives the optimiser of a module the schedule of the section ``schedule``, as Lightning's own CLI does it.

    A run that continues goes on with the schedule of its present configuration: one that was moved as often as that
    of the checkpoint, so that a longer run or another peak takes effect. ReduceLROnPlateau, which depends on what was
    measured, keeps its state.

    Args:
        build: Makes the schedule of an optimiser.
        moves_after: What it waits for.
        recorder: The books of the run, for a schedule that looks at measurements.
        monitors: Tags of what such a schedule minimises; the first one that was measured counts.
    """

    def __init__(
        self,
        build: Callable[[Optimizer], LRScheduler],
        moves_after: Interval,
        recorder: Recorder,
        monitors: tuple[str, ...],
    ) -> None:
        self.build, self.moves_after = build, moves_after
        self.recorder, self.monitors = recorder, monitors

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        configure = type(pl_module).configure_optimizers

        def configure_optimizers() -> Any:
            optimizer = self._only(configure(pl_module))
            on_measurement = self.moves_after is Interval.evaluation
            about = {
                "scheduler": self.build(optimizer),
                "interval": "epoch" if on_measurement else self.moves_after.value,
                "frequency": NEVER if on_measurement else 1,
                "monitor": self.monitors[0],
            }
            return {"optimizer": optimizer, "lr_scheduler": about}

        if stage == "fit":
            pl_module.configure_optimizers = configure_optimizers  # type: ignore[method-assign]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        optimizer, schedule = trainer.optimizers[0], trainer.lr_scheduler_configs[0].scheduler
        fresh: Any = pl_module.configure_optimizers()
        wanted, again = fresh["optimizer"], fresh["lr_scheduler"]["scheduler"]
        if isinstance(schedule, ReduceLROnPlateau):
            for group, new in zip(optimizer.param_groups, wanted.param_groups, strict=True):
                lr = new["lr"] if group.get("initial_lr", new["lr"]) != new["lr"] else group["lr"]
                group |= {key: value for key, value in new.items() if key != "params"}
                group |= {"lr": lr, "initial_lr": new["lr"]}
            for key in (
                "factor",
                "patience",
                "cooldown",
                "threshold",
                "min_lrs",
                "mode",
                "threshold_mode",
                "eps",
            ):
                setattr(schedule, key, getattr(again, key))
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*before.*")
            while again.last_epoch < schedule.last_epoch:
                again.step()
        for group, new in zip(optimizer.param_groups, wanted.param_groups, strict=True):
            group |= {key: value for key, value in new.items() if key != "params"}
        schedule.load_state_dict(again.state_dict())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or self.moves_after is not Interval.evaluation:
            return
        table = self.recorder.history[self.recorder.step]
        value = next((table[tag] for tag in self.monitors if tag in table), None)
        if value is None:
            raise ConfigError(
                f"schedule.name: expected {' or '.join(self.monitors)} for ReduceLROnPlateau to watch, but the task "
                f"measures {', '.join(table)}."
            )
        schedule: Any = trainer.lr_scheduler_configs[0].scheduler
        schedule.step(value)

    @staticmethod
    def _only(configured: Any) -> Optimizer:
        """Return the optimiser of what ``configure_optimizers`` gave.

        Raises:
            ConfigError: If there are several, or it brings a schedule of its own.
        """
        if isinstance(configured, dict) and "lr_scheduler" not in configured:
            configured = configured["optimizer"]
        if isinstance(configured, list | tuple) and len(configured) == 1:
            configured = configured[0]
        if not isinstance(configured, Optimizer):
            raise ConfigError(
                "schedule: expected null, as the task brings several optimisers or a schedule of its own."
            )
        return configured
