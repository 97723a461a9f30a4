"""Averaged weights that are what a run measures, draws and keeps."""

from functools import cache
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging


class MeasuredAverage(WeightAveraging):
    """Lightning's ``WeightAveraging``, with the average in the module from the start of a measurement to its end.

    Lightning takes it out again before ``on_validation_end``, where pictures are drawn and the best weights are saved.
    Until the first average there is none to measure or to keep: the weights are then those that are trained, where
    Lightning would put back the initial ones.
    """

    in_place = False
    """Whether the module holds the average at the moment, and the average model the trained weights."""

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (
            self._average_model is not None
            and trainer.state.fn == "fit"
            and self._average_model.n_averaged > 0
        ):
            self._swap_models(pl_module)
            self.in_place = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.in_place:
            self._swap_models(pl_module)
            self.in_place = False

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: the average is in place already."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: the average stays in place."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._average_model is not None and self._average_model.n_averaged > 0:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._average_model is not None and self._average_model.n_averaged == 0:
            checkpoint["state_dict"] = checkpoint["current_model_state"]
        elif self.in_place:
            trained = checkpoint["state_dict"]
            checkpoint |= {"state_dict": checkpoint["current_model_state"], "current_model_state": trained}


class TailAverage(WeightAveraging):
    """The even average of the weights after each of the last steps (Izmailov et al. 2018).

    Args:
        first_step: Number of the first step, from 0, whose weights count.
    """

    def __init__(self, first_step: int) -> None:
        super().__init__()
        self.first_step = first_step

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and step_idx >= self.first_step


def build_average(decay: float | None, first_step: int | None) -> list[Callback]:
    """Return the callback that averages weights as ``trainer.ema_decay`` or ``trainer.swa_start`` asks for, if any."""
    if decay is not None:
        return [measured_average(EMAWeightAveraging)(decay=decay)]
    return [] if first_step is None else [measured_average(TailAverage)(first_step)]


@cache
def measured_average(kind: type) -> type:
    """Return a class of weight averaging with the behaviour of ``MeasuredAverage``; any other class as it is."""
    if not issubclass(kind, WeightAveraging):
        return kind
    return type(kind.__name__, (MeasuredAverage, kind), {"__module__": kind.__module__})
