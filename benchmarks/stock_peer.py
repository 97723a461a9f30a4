"""What a Lightning and Hydra user writes without gaplab: the reference of ``benchmarks/sweep.py``.

A stock LightningModule with automatic optimisation, DataLoaders and a TensorBoardLogger under Hydra's basic
launcher. Data, network, optimiser, number of steps and measurements are those of gaplab's default classifier::

    python benchmarks/stock_peer.py -m seed=0,1 folder=/tmp/peer
"""

import logging
import warnings
from pathlib import Path

import hydra
import torch
from hydra.core.config_store import ConfigStore
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gaplab.data.spirals import sample_spirals

ConfigStore.instance().store(
    name="peer", node={"seed": 0, "folder": "peer", "max_steps": 1_000, "test_points": 100_000}
)


class StockClassifier(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 3))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        points, labels = batch
        loss = functional.cross_entropy(self.network(points), labels)
        self.log("loss/train_batch", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        points, labels = batch
        logits = self.network(points)
        name = ("train", "val", "test")[dataloader_idx]
        options = {"on_epoch": True, "add_dataloader_idx": False, "batch_size": len(labels)}
        self.log(f"loss/{name}", functional.cross_entropy(logits, labels), **options)  # type: ignore[arg-type]
        self.log(f"accuracy/{name}", (logits.argmax(1) == labels).float().mean(), **options)  # type: ignore[arg-type]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def train(config: DictConfig) -> float:
    """Train and measure one network."""
    seed_everything(config.seed, verbose=False)
    generator = torch.Generator().manual_seed(config.seed)
    sizes = {"train": 300, "val": 2_000, "test": config.test_points}
    sets = {
        name: TensorDataset(*sample_spirals(size, noise=0.4, generator=generator))
        for name, size in sizes.items()
    }
    folder = Path(config.folder) / f"seed={config.seed}"
    trainer = Trainer(
        accelerator="cpu",
        max_steps=config.max_steps,
        val_check_interval=config.max_steps // 10,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=TensorBoardLogger(folder),
        callbacks=[ModelCheckpoint(folder, monitor="loss/val", save_last=True)],
    )
    measured = [DataLoader(part, batch_size=8_192) for part in sets.values()]
    trainer.fit(StockClassifier(), DataLoader(sets["train"], batch_size=64, shuffle=True), measured)
    return float(trainer.callback_metrics["loss/val"])


@hydra.main(config_path=None, config_name="peer", version_base="1.3")
def main(config: DictConfig) -> float:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    return train(config)


if __name__ == "__main__":
    main()
