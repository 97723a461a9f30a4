"""What lets anybody's LightningModule and loaders be stopped anywhere and continued bit for bit, and when it ends."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.connectors.data_connector import _DataLoaderSource
from lightning.pytorch.utilities.model_helpers import is_overridden

from gaplab.data.epoch_loader import EpochLoader


class _SeededSource(_DataLoaderSource):
    """Wraps the training loader of a project in an ``EpochLoader``."""

    def __init__(self, source: _DataLoaderSource, trainer: Trainer, seed: int) -> None:
        super().__init__(source.instance, source.name)
        self.trainer, self.seed = trainer, seed

    def dataloader(self) -> Any:
        loader = super().dataloader()
        if isinstance(loader, list | tuple | dict | EpochLoader) or hasattr(loader, "flattened"):
            return loader  # several at once: Lightning's to combine
        trainer = self.trainer
        return EpochLoader(
            loader,
            seed=self.seed,
            position=self._position,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )

    def _position(self, batches: int | None) -> tuple[int, int]:
        loop = self.trainer.fit_loop
        if batches is None:
            return self.trainer.current_epoch, loop.epoch_loop.batch_progress.current.completed
        return divmod(loop.epoch_loop.batch_progress.total.completed, limited(self.trainer, batches))


def limited(trainer: Trainer, batches: int) -> int:
    """Return how many of the batches of an epoch train."""
    limit = trainer.limit_train_batches
    return max(1, min(limit, batches) if isinstance(limit, int) else int(batches * limit))


class ResumableTraining(Callback):
    """Makes batches a function of ``train_seed`` and their number, and counters those of the batch to come.

    A run that ended at its last step, in the middle of an epoch, counts that epoch as done; when more steps are asked
    for it goes on within it.

    Args:
        train_seed: Of order and augmentation.
        max_steps: Optimiser steps after which training ends, which ``trainer.estimated_stepping_batches`` tells the
            module's ``configure_optimizers``; None where epochs are counted. Either way all splits are measured then.
    """

    def __init__(self, train_seed: int, max_steps: int | None) -> None:
        self.train_seed, self.max_steps = train_seed, max_steps
        self.batches_per_epoch: int | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"batches_per_epoch": self.batches_per_epoch}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        trainer.fit_loop._data_source = _SeededSource(trainer.fit_loop._data_source, trainer, self.train_seed)
        if self.max_steps is not None and is_overridden("configure_optimizers", pl_module):
            self._tell_length(trainer, pl_module)

    def _tell_length(self, trainer: Trainer, module: LightningModule) -> None:
        """Let the Trainer know its last step while optimisers are made, and only then (see ``StepLimits``)."""
        configure, loop = module.configure_optimizers, trainer.fit_loop.epoch_loop

        def configure_optimizers() -> Any:
            before, loop.max_steps = loop.max_steps, self.max_steps or -1
            try:
                return configure()
            finally:
                loop.max_steps = before

        module.configure_optimizers = configure_optimizers  # type: ignore[method-assign]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches = trainer.num_training_batches
        self.batches_per_epoch = batches if isinstance(batches, int) else None
        trainer.should_stop = self.max_steps is not None and trainer.global_step >= self.max_steps

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Lightning moves it by one when it restarts between two batches, also where a batch takes several steps.
        loop = trainer.fit_loop.epoch_loop
        loop._batches_that_stepped = loop.batch_progress.total.completed // trainer.accumulate_grad_batches

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.max_steps is not None:
            ends = trainer.global_step >= self.max_steps
        else:
            last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
            ends = last_epoch and trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if ends:
            trainer.should_stop = True

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        batches = checkpoint["callbacks"].get(self.state_key, {}).get("batches_per_epoch")
        if batches is None or "loops" not in checkpoint:
            return
        loops = checkpoint["loops"]["fit_loop"]
        progress, epochs = loops["epoch_loop.batch_progress"], loops["epoch_progress"]["current"]
        epoch, done = divmod(progress["total"]["completed"], batches)
        progress["total"]["ready"] = progress["total"]["completed"]
        progress["current"] |= dict.fromkeys(("ready", "started", "processed", "completed"), done)
        progress["is_last_batch"] = False
        begun = epoch + (done > 0)
        epochs |= {"ready": begun, "started": begun, "processed": epoch, "completed": epoch}
