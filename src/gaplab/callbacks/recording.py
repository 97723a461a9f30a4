"""Keeps the books of a run: every measurement goes into its ``Recorder`` before anybody writes or draws it."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.runs.recorder import STATE_KEY, Recorder
from gaplab.tasks.task import Task


class Recording(Callback):
    """Hands the scorecard of a task to the recorder and stops the run when the recorder says so.

    It comes first among the callbacks of a run; the others read the recorder.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    @property
    def state_key(self) -> str:
        return STATE_KEY

    def state_dict(self) -> dict[str, Any]:
        return self.recorder.state_dict()

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.recorder.restore(int(checkpoint["global_step"]), checkpoint["callbacks"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self.recorder.record(trainer.global_step, cast(Task, pl_module).scorecard())
        if trainer.strategy.reduce_boolean_decision(self.recorder.stopped, all=False):
            trainer.should_stop = True
