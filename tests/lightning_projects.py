"""Lightning projects as a stranger would write them; none of them knows this package."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchmetrics.classification import MulticlassAccuracy


def blobs(count: int, seed: int = 0) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    points = torch.randn(count, 4, generator=generator)
    points[:, :3] += nn.functional.one_hot(labels, 3)
    return TensorDataset(points, labels)


class Jittered(Dataset[Any]):
    """Augmented by what the global generator draws."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        points, label = self.data[index]
        return points + 0.3 * torch.randn(4), label


class BlobsDM(LightningDataModule):
    def __init__(
        self, batch_size: int = 16, num_train: int = 70, num_workers: int = 0, jitter: bool = True
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = blobs(self.hparams["num_train"])
            self.train_data = Jittered(data) if self.hparams["jitter"] else data
            self.val_data = blobs(41, 1)
        if stage == "validate":
            self.val_data = blobs(41, 1)
        if stage == "test":
            self.test_data = blobs(53, 2)

    def _loader(self, data: Any, **settings: Any) -> Any:
        batch_size, workers = self.hparams["batch_size"], self.hparams["num_workers"]
        return DataLoader(data, batch_size=batch_size, num_workers=workers, **settings)

    def train_dataloader(self) -> Any:
        return self._loader(self.train_data, shuffle=True, drop_last=True)

    def val_dataloader(self) -> Any:
        return self._loader(self.val_data)

    def test_dataloader(self) -> Any:
        return self._loader(self.test_data)


class Net(LightningModule):
    """Dropout, BatchNorm, a metric of torchmetrics, one computed by hand, a schedule by epoch."""

    def __init__(self, lr: float = 1e-2, width: int = 8, rate: float = 0.2, interval: str = "epoch") -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(rate), nn.Linear(width, 3)
        )
        self.acc = MulticlassAccuracy(3, average="micro")

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        points, labels = batch
        loss = nn.functional.cross_entropy(self.net(points), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        points, labels = batch
        logits = self.net(points)
        self.acc(logits, labels)
        self.log("val_loss", nn.functional.cross_entropy(logits, labels), prog_bar=True)
        self.log("val/acc", self.acc, on_step=False, on_epoch=True)

    def on_validation_epoch_end(self) -> None:
        self.log("val_weight", self.net[0].weight.norm())  # type: ignore[operator]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)
        interval = self.hparams["interval"]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": interval}}


class TwoPlayers(LightningModule):
    """Manual optimisation with two optimisers."""

    def __init__(self, lr: float = 1e-2) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.lr = lr
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

    def loss(self, batch: Any) -> Tensor:
        points, labels = batch
        return nn.functional.cross_entropy(self.second(self.first(points).tanh()), labels)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))
            optimizer.step()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log_dict({"val_loss": self.loss(batch), "val_top": 1.0})

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(part.parameters(), lr=self.lr) for part in (self.first, self.second)]


def subset_loader(data: TensorDataset, indices: list[int], batch_size: int = 16) -> Any:
    return DataLoader(Subset(data, indices), batch_size=batch_size)


class Silent(LightningModule):
    """Logs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 3)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.net(batch[0]).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self.training_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


class Aimless(LightningModule):
    """Has no optimizer."""
