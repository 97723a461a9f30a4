"""What saving costs: a run that saves at the default interval against the same run that saves at its end.

    python -m benchmarks checkpointing

One saving is timed by itself, as a run would have to be minutes long to show it: the cost is the seconds of a
saving over the interval. The classifier is the default one, the run long enough for its history to fill.
"""

import tempfile
import time
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer

from benchmarks.ratios import show
from gaplab.callbacks.checkpoints import Checkpoints
from gaplab.config.compose import compose_config
from gaplab.config.trainer import TrainerConfig
from gaplab.train import run_one

SAVINGS = 40


class TimedSavings:
    """Saves before every block of steps and keeps the seconds of each saving."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.save = Checkpoints.save

    def before_block(
        self, keeper: Checkpoints, trainer: Trainer, module: LightningModule, *arguments: object
    ) -> None:
        start = time.perf_counter()
        self.save(keeper, trainer)
        self.seconds.append(time.perf_counter() - start)


def seconds_of_a_saving() -> float:
    """Return the mean seconds of one saving, flushing to the disk included."""
    timed = TimedSavings()
    original = Checkpoints.on_train_batch_start
    Checkpoints.on_train_batch_start = lambda *arguments: timed.before_block(*arguments)  # type: ignore[method-assign]
    words = ["trainer.progress_bar=false", "logging.pictures=false", f"trainer.max_steps={50 * SAVINGS}"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            run_one(compose_config(words), Path(folder) / "run")
    finally:
        Checkpoints.on_train_batch_start = original  # type: ignore[method-assign]
    assert len(timed.seconds) >= SAVINGS // 2
    return sum(timed.seconds[1:]) / (len(timed.seconds) - 1)


def main() -> bool:
    interval = TrainerConfig().checkpoint_every_n_seconds
    seconds = seconds_of_a_saving()
    print(f"one saving takes {1_000 * seconds:.1f} ms; trainer.checkpoint_every_n_seconds is {interval:g}")
    return show("saving / training time, in percent", 100 * seconds / interval, 3)


if __name__ == "__main__":
    main()
