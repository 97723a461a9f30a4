"""When a run stops before its last step."""

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.tasks.task import Task


class StopAtTrainLevel(Callback):
    """Stops once the whole training set is fitted to a given loss or accuracy.

    Studies of capacity measures compare networks at equal training loss (Jiang et al. 2020).
    """

    def __init__(self, loss: float | None, accuracy: float | None) -> None:
        self.loss, self.accuracy = loss, accuracy

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        if trainer.state.fn != "fit":
            return
        score = pl_module.scores["train"]
        if self.loss is not None and score.loss <= self.loss:
            trainer.should_stop = True
        if self.accuracy is not None and score.accuracy >= self.accuracy:
            trainer.should_stop = True
