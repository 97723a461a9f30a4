"""What a user's own modules draw in training: the same numbers every time, also after a restart."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.randomness import seed_global_generators


class GlobalGenerators(Callback):
    """Seeds the global generators of torch, NumPy and ``random`` anew before every block of steps.

    What ``nn.Dropout``, an augmentation or a sampler draws is then a function of ``train_seed``, the optimiser
    step and the process, so that a run that is killed and continued draws what it would have drawn. Processes
    draw different numbers, as they see different points.
    """

    def __init__(self, train_seed: int) -> None:
        self.train_seed = train_seed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seed(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._seed(trainer)

    def _seed(self, trainer: Trainer) -> None:
        seed_global_generators(self.train_seed, "global", trainer.global_step, trainer.global_rank)
