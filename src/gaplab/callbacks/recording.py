"""Keeps the books of a run: every measurement goes into its ``Recorder`` before anybody writes or draws it."""

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.callbacks.generalization_gap import gap_of, scorecard
from gaplab.data.loader import Batch, Block
from gaplab.errors import ConfigError, DivergedError
from gaplab.runs.recorder import STATE_KEY, Recorder


class Recording(Callback):
    """Hands the scorecard of a module to the recorder and stops the run when the recorder says so.

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

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Refuse a module whose steps are not those of the batches: a run would not find its place again.

        Raises:
            ConfigError: If more optimisers count their steps than one, on point sets.
        """
        if not isinstance(batch, Batch | Block):
            return
        done = 1 + (batch.steps[-1] if isinstance(batch, Block) else batch.step)
        if trainer.global_step > done:
            raise ConfigError(
                f"task: expected one optimiser step for each batch of a point set, but {type(pl_module).__name__} has "
                f"taken {trainer.global_step} in {done}. Let one optimizer count: step the others by "
                "optimizer.optimizer.step(). Or bring a data module (task=lightning), where batches count."
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        table = scorecard(pl_module)
        if (gap := gap_of(trainer)) is not None:
            self.recorder.higher_is_better = gap.higher
            self._refuse_divergence(table, trainer.global_step)
        self.recorder.record(trainer.global_step, table)
        if trainer.strategy.reduce_boolean_decision(self.recorder.stopped, all=False):
            trainer.should_stop = True

    def _refuse_divergence(self, table: dict[str, float], step: int) -> None:
        """Raise ``DivergedError`` where a module's loss on its training points is not finite."""
        tag = self.recorder.monitored(table).format(split="train")
        if tag in table and not math.isfinite(table[tag]):
            raise DivergedError(f"{tag.removesuffix('/train')} on the training set", step)
