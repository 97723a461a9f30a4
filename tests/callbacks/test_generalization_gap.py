"""The gap in anybody's Lightning project: right values, no trace in training, every point once."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, WeightedRandomSampler

from gaplab import GeneralizationGap
from gaplab.errors import ConfigError
from lightning_projects import BlobsDM, Net, TwoPlayers, blobs

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def fit(module: Any, data: Any, *callbacks: Any, folder: Path | None = None, **settings: Any) -> Trainer:
    if folder is not None:
        settings["logger"] = CSVLogger(folder)
    trainer = Trainer(
        **{"logger": False, "enable_checkpointing": False, "max_epochs": 2} | settings,
        accelerator="cpu",
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, datamodule=data)
    return trainer


@torch.no_grad()
def by_hand(module: Net, count: int, seed: int) -> tuple[float, float]:
    points, labels = blobs(count, seed).tensors
    logits = module.eval().net(points)
    return (
        nn.functional.cross_entropy(logits, labels).item(),
        float((logits.argmax(1) == labels).float().mean()),
    )


def test_values_are_those_of_whole_splits(tmp_path: Path) -> None:
    seed_everything(1)
    gap, module = GeneralizationGap(), Net()
    trainer = fit(module, BlobsDM(jitter=False), gap, folder=tmp_path)
    assert list(gap.history) == [4, 8]
    for split, count, seed in (("train", 70, 0), ("val", 41, 1), ("test", 53, 2)):
        loss, accuracy = by_hand(module, count, seed)
        assert gap.table[f"loss/{split}"] == pytest.approx(loss, abs=1e-6)
        assert gap.table[f"acc/{split}"] == pytest.approx(accuracy, abs=1e-6)
    assert gap.table["gap/loss"] == gap.table["loss/test"] - gap.table["loss/train"]
    assert gap.table["gap/acc"] == gap.table["acc/train"] - gap.table["acc/test"]
    assert gap.table["gap/weight"] == 0.0
    assert gap.num_points == {"train": 70, "val": 41, "test": 53}
    assert "gap/loss" in next(tmp_path.rglob("metrics.csv")).read_text().splitlines()[0]
    assert float(trainer.callback_metrics["val_loss"]) == pytest.approx(gap.table["loss/val"], abs=1e-6)


@pytest.mark.parametrize("module", [Net, TwoPlayers])
def test_training_is_the_same_bit_for_bit_with_and_without(module: Any, tmp_path: Path) -> None:
    found = []
    for callbacks in ([], [GeneralizationGap()]):
        seed_everything(2)
        own = module()
        fit(own, BlobsDM(num_workers=0), *callbacks, val_check_interval=2)
        found.append(own.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_checkpoint_can_be_chosen_by_the_gap(tmp_path: Path) -> None:
    best = ModelCheckpoint(tmp_path, monitor="gap/loss", filename="best")
    fit(Net(), BlobsDM(), GeneralizationGap(), best, enable_checkpointing=True)
    assert (tmp_path / "best.ckpt").is_file()
    assert best.best_model_score is not None


def test_validate_alone_measures_all_splits() -> None:
    gap = GeneralizationGap({"weight": True})
    trainer = Trainer(logger=False, accelerator="cpu", callbacks=[gap], enable_progress_bar=False)
    trainer.validate(Net(), datamodule=BlobsDM(), verbose=False)
    assert {"loss/train", "loss/val", "loss/test", "gap/acc"} <= gap.table.keys()
    assert gap.history == {}
    assert gap.higher["weight"]


class Chosen(BlobsDM):
    def __init__(self, loader: Any) -> None:
        super().__init__()
        self.loader = loader

    def train_dataloader(self) -> Any:
        return self.loader


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(blobs(40))


@pytest.mark.parametrize(
    ("loader", "count"),
    [
        (DataLoader(blobs(70), sampler=SubsetRandomSampler(range(30)), batch_size=8), 30),
        (DataLoader(blobs(70), sampler=WeightedRandomSampler([1.0] * 70, 20), batch_size=8), 70),
        (DataLoader(blobs(70), batch_size=None, collate_fn=lambda one: (one[0][None], one[1][None])), 70),
    ],
)
def test_every_point_that_trains_counts_once(loader: Any, count: int) -> None:
    gap, module = GeneralizationGap(), TwoPlayers()
    fit(module, Chosen(loader), gap, max_epochs=1)
    assert gap.num_points["train"] == count
    points, labels = blobs(70).tensors
    assert gap.table["loss/train"] == pytest.approx(
        module.loss((points[:count], labels[:count])).item(), abs=1e-6
    )


def test_data_without_a_length_are_refused_or_limited() -> None:
    loader = DataLoader(Stream(), batch_size=8)
    with pytest.raises(ConfigError, match="train: expected data of a known length, but Stream .*max_batches"):
        fit(TwoPlayers(), Chosen(loader), GeneralizationGap(), max_epochs=1)
    gap, module = GeneralizationGap(max_batches=2), TwoPlayers()
    fit(module, Chosen(loader), gap, max_epochs=1)
    points, labels = blobs(40).tensors
    assert gap.table["loss/train"] == pytest.approx(module.loss((points[:16], labels[:16])).item(), abs=1e-6)


def test_splits_of_the_data_module_go_before_its_loaders() -> None:
    class Own(BlobsDM):
        def splits(self) -> dict[str, Any]:
            return {"train": DataLoader(blobs(20), shuffle=True), "test": DataLoader(blobs(9, 3))}

    gap, module = GeneralizationGap(), TwoPlayers()
    fit(module, Own(), gap, max_epochs=1)
    assert sorted(gap.table) == ["gap/loss", "gap/top", "loss/test", "loss/train", "top/test", "top/train"]
    assert gap.table["loss/train"] == pytest.approx(module.loss(blobs(20).tensors).item(), abs=1e-6)


class TwoValidations(BlobsDM):
    """Two validation loaders, and splits of its own."""

    def val_dataloader(self) -> Any:
        return [DataLoader(blobs(9, 1)), DataLoader(blobs(5, 2))]

    def splits(self) -> dict[str, Any]:
        return {"train": DataLoader(blobs(20)), "test": DataLoader(blobs(9, 3))}


def test_a_step_that_asks_for_a_loader_is_told_the_first_one() -> None:
    class Asking(TwoPlayers):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int) -> None:
            self.log_dict({"val_loss": self.loss(batch), "val_asked": float(dataloader_idx)})

    gap, module = GeneralizationGap(), Asking()
    fit(module, TwoValidations(), gap, max_epochs=1)
    assert gap.table["loss/train"] == pytest.approx(module.loss(blobs(20).tensors).item(), abs=1e-6)
    assert gap.table["asked/test"] == 0


def test_several_validation_loaders_without_an_index_are_answered_before_training() -> None:
    gap = GeneralizationGap()
    with pytest.raises(ConfigError, match=r"dataloader_idx=0.*2 loaders, but that of TwoPlayers"):
        fit(TwoPlayers(), TwoValidations(), gap, max_epochs=1, num_sanity_val_steps=0)
    assert gap.history == {}


def test_workers_stay_where_a_loader_keeps_them_and_draw_the_same_again() -> None:
    class Kept(BlobsDM):
        def _loader(self, data: Any, **settings: Any) -> Any:
            return super()._loader(data, persistent_workers=True, **settings)

    gap, found = GeneralizationGap(), []

    class Looking(TwoPlayers):
        def on_train_start(self) -> None:
            for _ in range(2):
                table = gap.measure(self.trainer)
                found.append((table, gap._loaders["train"]._iterator))  # type: ignore[index]

    fit(Looking(), Kept(num_workers=1), gap, max_epochs=1)
    assert found[0][0] == found[1][0], "augmented as before"
    assert found[0][1] is found[1][1] is not None
    assert multiprocessing.active_children() == [], "nobody waits for a measurement that will not come"


def test_a_missing_test_split_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    gap = GeneralizationGap()
    trainer = Trainer(
        **{"logger": False, "enable_checkpointing": False, "max_epochs": 1},
        accelerator="cpu",
        callbacks=[gap],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(TwoPlayers(), DataLoader(blobs(20), batch_size=5), DataLoader(blobs(9, 1), batch_size=5))
    assert "there is no test_dataloader" in caplog.text
    assert gap.table["gap/loss"] == gap.table["loss/val"] - gap.table["loss/train"]


@pytest.mark.filterwarnings("ignore:You passed in a .val_dataloader. but have no")
def test_a_module_that_validates_nothing_is_refused() -> None:
    class Blind(TwoPlayers):
        validation_step = Net.__mro__[1].validation_step

    with pytest.raises(ConfigError, match="expected a validation_step .* Blind has none"):
        fit(Blind(), BlobsDM(), GeneralizationGap())
