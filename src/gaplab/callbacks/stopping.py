"""When a run stops before its last step."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.data.loader import TrainLoader


class StopAtLastStep(Callback):
    """Ends training at the last optimiser step, with a measurement there even if none is due.

    Lightning's own limit counts epochs, of which a run has one: a finished run would not continue when
    its number of steps is raised.
    """

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loader = trainer.train_dataloader
        assert isinstance(loader, TrainLoader)
        # Lightning measures every so many blocks; the blocks so far may have had other lengths.
        trainer.fit_loop.epoch_loop.batch_progress.total.ready = loader.blocks_before(trainer.global_step)
        trainer.should_stop = trainer.global_step >= self.num_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= self.num_steps:
            trainer.should_stop = True
