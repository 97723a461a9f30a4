"""The run card as a text in TensorBoard."""

from collections.abc import Callable

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.runs.results import Result
from gaplab.tensorboard.loggers import event_writer


class RunCard(Callback):
    """Writes ``run/card`` at the start and at the end.

    Args:
        describe: Returns the card as Markdown.
    """

    def __init__(self, describe: Callable[[], str]) -> None:
        self.describe = describe

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.ckpt_path is None:
            self.write(trainer, 0)

    def on_result(self, trainer: Trainer, result: Result) -> None:
        """Write the card of a run that finished."""
        self.write(trainer, result.step)

    def write(self, trainer: Trainer, step: int) -> None:
        writer = event_writer(trainer)
        if writer is not None:
            writer.add_text("run/card", self.describe(), step)
            writer.flush()
