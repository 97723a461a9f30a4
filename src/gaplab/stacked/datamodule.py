"""What Lightning iterates over while it trains an ensemble: blocks of steps, and splits by name."""

from collections.abc import Iterable, Iterator, Sequence

from lightning.pytorch import LightningDataModule

from gaplab.data.loader import TrainLoader
from gaplab.data.splits import Split
from gaplab.runs.recorder import Recorder
from gaplab.stacked.batches import BlockLoader


class EnsembleData(LightningDataModule):
    """Blocks of step numbers, and the names of the splits; the points are the ensemble's."""

    def __init__(self, members: Sequence[Recorder], splits: Sequence[dict[str, Split]]) -> None:
        super().__init__()
        self.config = members[0].config
        self.num_steps = self.config.num_steps
        self.splits = splits

    def train_dataloader(self) -> TrainLoader:
        train = self.splits[0]["train"]
        trainer = self.trainer
        assert trainer is not None, "Lightning attaches the Trainer before it asks for loaders"
        return BlockLoader(
            train.points,
            train.labels,
            batch_size=self.config.data.points_per_step,
            num_steps=self.num_steps,
            evaluation_steps=self.config.evaluation_steps,
            train_seed=0,
            first_step=lambda: trainer.global_step,
        )

    def val_dataloader(self) -> "Names":
        return Names(["train"] if self.config.trainer.test_only_at_end else self.splits[0])


class Names:
    """Names of splits as a loader; a plain list would mean several loaders to Lightning."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)
