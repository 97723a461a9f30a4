"""A task written as one method: what the base class makes of it, against numbers computed by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics import R2Score

from gaplab.builders import build_data_and_task
from gaplab.config import registry
from gaplab.config.compose import Composed, compose_config
from gaplab.config.optimizer import SGDConfig
from gaplab.config.registry import register
from gaplab.config.task import TaskConfig
from gaplab.data.loader import Batch, SplitLoader
from gaplab.errors import ConfigError, DivergedError, Preempted
from gaplab.losses.classification import cross_entropy
from gaplab.networks import MLP
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.resume import plan_new
from gaplab.tasks.classifier import Classifier
from gaplab.tasks.losses_task import LossesTask
from gaplab.tasks.unpacking import points_and_labels
from gaplab.train import run_one, run_planned
from quick_runs import QUICK


class Noisy(LossesTask):
    """Squared error of the first coordinate, seen through noise."""

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        noise = torch.randn(batch.global_batch_size, 2, generator=generator).to(batch.points)
        outputs = self(batch.points + batch.part(noise))[:, 0]
        return (outputs - batch.points[:, 0]).square()


class Scored(LossesTask):
    metrics = {"r2": R2Score()}  # noqa: RUF012
    higher_is_better = ("sign",)

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        predicted, true = self.predictions(batch)
        return (predicted - true).square()

    def score(self, batch: Batch) -> dict[str, Tensor]:
        predicted, true = self.predictions(batch)
        return {"sign": predicted.sign() == true.sign(), "distance": (predicted - true).abs()}


@dataclass(kw_only=True, slots=True)
class NoisyConfig(TaskConfig):
    broken: bool = False


class Reduced(LossesTask):
    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return self(batch.points).square().mean()


def build_noisy(section: NoisyConfig, config: Any, data: Any, init_stream: Any) -> LossesTask:
    network = registry.build_choice(config.network, data.in_features, 3, init_stream)
    kind = Reduced if section.broken else Noisy
    return kind(network, optimizer=config.optimizer, num_steps=config.num_steps, train_seed=config.train_seed)


@pytest.fixture(autouse=True)
def own_choice() -> Iterator[None]:
    register("task", "noisy", NoisyConfig, build_noisy)
    yield
    registry._builders.pop(NoisyConfig)
    registry.CHOICES["task"].pop("noisy")


def compose(root: Path, *words: str) -> Composed:
    return compose_config([*QUICK, f"run.root={root}", "task=noisy", *words])


def made(kind: type[LossesTask], out_features: int = 1, rate: float = 0.0) -> LossesTask:
    network = MLP(2, out_features, [4], dropout=rate, generator=torch.Generator().manual_seed(0))
    return kind(network, optimizer=SGDConfig(lr=0.1, weight_decay=0.2), num_steps=8, train_seed=3)


def test_parts_of_a_batch_draw_the_numbers_of_the_whole() -> None:
    task = made(Noisy, rate=0.5).double()
    points = torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(7, dtype=torch.int64)
    whole = task.training_step(Batch(points, labels, 0, 7, 5), 0)
    parts = [Batch(points[part], labels[part], part.start, 7, 5) for part in (slice(0, 3), slice(3, 7))]
    summed = sum(task.training_step(part, 0) * part.share for part in parts)
    torch.testing.assert_close(summed, whole, rtol=1e-12, atol=0)
    other = task.training_step(Batch(points, labels, 0, 7, 6), 0)
    assert not torch.equal(other, whole), "the step has its own noise"


class NoisyClassifier(Classifier):
    """Loses at random."""

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return super().losses(batch, generator) + torch.rand(len(batch.labels), generator=generator)


def test_a_classifier_of_ones_own_may_draw_what_the_shipped_one_does_not() -> None:
    losses = {}
    for kind in (Classifier, NoisyClassifier):
        network = MLP(2, 3, [4], generator=torch.Generator().manual_seed(0))
        task = kind(
            network,
            cross_entropy,
            cross_entropy,
            optimizer=SGDConfig(lr=0.1),
            num_steps=8,
            train_seed=3,
        )
        batch = Batch(torch.ones(5, 2), torch.zeros(5, dtype=torch.int64), 0, 5, 0)
        losses[kind] = [task.training_step(batch._replace(step=step), 0).item() for step in (0, 0, 1)]
    first, again, other = losses[NoisyClassifier]
    assert first == again != other
    assert len(set(losses[Classifier])) == 1


class Table(Dataset[Any]):
    """Rows of a table as a DataLoader's batches have them: a pair, or a dict."""

    def __init__(self, number: int, seed: int, named: bool) -> None:
        draws = torch.Generator().manual_seed(seed)
        self.points = torch.randn(number, 2, generator=draws)
        self.targets = (
            self.points[:, 0] - 0.5 * self.points[:, 1] + 0.3 * torch.randn(number, generator=draws)
        )
        self.named = named

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, row: int) -> Any:
        point, target = self.points[row], self.targets[row]
        return {"x": point, "target": target} if self.named else (point, target)


class TableData(LightningDataModule):
    def __init__(self, named: bool) -> None:
        super().__init__()
        self.tables = [Table(*size, named) for size in ((30, 0), (20, 1), (50, 2))]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.tables[0], batch_size=8, shuffle=True)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        return [DataLoader(table, batch_size=8) for table in self.tables]


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers.*", "ignore:.*isinstance.treespec, LeafSpec.*"
)
@pytest.mark.parametrize("named", [False, True])
def test_batches_of_ordinary_loaders_are_trained_on_and_measured(named: bool) -> None:
    data, task = TableData(named), made(Scored)
    torch.manual_seed(0)
    trainer = Trainer(
        max_steps=8,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(task, datamodule=data)
    assert trainer.global_step == 8
    table = task.scorecard()
    residuals, right = {}, {}
    for name, split in zip(("train", "val", "test"), data.tables, strict=True):
        with torch.no_grad():
            outputs = task(split.points)[:, 0]
        residuals[name] = (outputs - split.targets).double()
        right[name] = (outputs.sign() == split.targets.sign()).double()
        total = (split.targets - split.targets.mean()).square().sum()
        assert table[f"loss/{name}"] == pytest.approx(float(residuals[name].square().mean()), rel=1e-5)
        assert table[f"distance/{name}"] == pytest.approx(float(residuals[name].abs().mean()), rel=1e-5)
        assert table[f"r2/{name}"] == pytest.approx(
            1 - float(residuals[name].square().sum() / total), rel=1e-4
        )
    gap = residuals["test"].square().mean() - residuals["train"].square().mean()
    assert table["gap/loss"] == pytest.approx(float(gap), rel=1e-4)
    error = residuals["test"].square().var() / 50 + residuals["train"].square().var() / 30
    assert table["gap/loss_error"] == pytest.approx(float(error) ** 0.5, rel=1e-4)
    assert table["gap/sign"] == pytest.approx(float(right["train"].mean() - right["test"].mean()))
    assert table["gap/r2"] == pytest.approx(table["r2/train"] - table["r2/test"])
    assert "gap/r2_error" not in table
    penalty = 0.1 * sum(float(p.detach().square().sum()) for p in task.parameters())
    assert table["loss/train_penalized"] - table["loss/train"] == pytest.approx(penalty, rel=1e-4)


def test_what_a_loss_draws_while_it_is_measured_does_not_depend_on_chunks_or_processes() -> None:
    task, points = made(Noisy).double().eval(), torch.randn(20, 2, dtype=torch.float64)
    labels, found = torch.zeros(20, dtype=torch.int64), []
    for chunk, world_size in ((20, 1), (3, 1), (4, 2)):
        task.on_validation_epoch_start = lambda: None  # type: ignore[method-assign]
        task._split_names, task._means, task._metrics = ["train"], [{}], [{}]
        for rank in range(world_size):
            loader = SplitLoader(points, labels, rank=rank, world_size=world_size, chunk_size=chunk)
            task._validation_loaders = lambda loader=loader: [loader]  # type: ignore[method-assign, misc]
            for number, batch in enumerate(loader):
                task.validation_step(batch, number)
        found.append(task._means[0]["loss"].compute())
    assert found[1] == pytest.approx(found[0], rel=1e-12)
    assert found[2] == pytest.approx(found[0], rel=1e-12)


def test_noise_and_dropout_resume_bit_for_bit(tmp_path: Path, stop_at: Any) -> None:
    composed = compose(
        tmp_path, "network.dropout=0.3", "optimizer.schedule=cosine", "optimizer.max_grad_norm=1"
    )
    run_one(composed, tmp_path / "whole")
    stop_at(8)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    stop_at(None)
    run_planned(plan_new(composed, tmp_path / "parts"))
    whole, parts = (
        read_weights(tmp_path / run / "checkpoints" / "last.ckpt").weights for run in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    stock = compose(tmp_path, *composed.overrides[-3:], "trainer.block_steps=1")
    run_one(stock, tmp_path / "stock")
    same = read_weights(tmp_path / "stock" / "checkpoints" / "last.ckpt").weights
    assert all(torch.equal(whole[name], same[name]) for name in whole)


def test_a_reduced_loss_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"Reduced.losses: expected .* shape \[16\], but got shape \[\].*reduction"
    ):
        run_one(compose(tmp_path, "task.broken=true"), tmp_path / "run")


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="the loss"):
        run_one(compose(tmp_path, "optimizer=sgd", "optimizer.lr=1e30"), tmp_path / "run")


def test_a_level_that_is_not_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stop_at_train_accuracy: expected null"):
        run_one(compose(tmp_path, "trainer.stop_at_train_accuracy=0.9"), tmp_path / "run")


def test_batches_of_all_kinds_are_taken_apart() -> None:
    x, y = torch.ones(3, 2), torch.arange(3)
    for batch in ((x, y), [x, y], {"x": x, "y": y}, {"points": x, "labels": y}):
        points, labels = points_and_labels(batch)
        assert points is x
        assert labels is y
    points, labels = points_and_labels({"left": x, "right": y, "target": y})
    assert points.keys() == {"left", "right"}
    assert labels is y
    for batch in (x, [x], {"x": x}):
        points, labels = points_and_labels(batch)
        assert points is x
        assert labels.tolist() == [0, 0, 0]
    with pytest.raises(ConfigError, match="batch: expected points and labels .* but got str"):
        points_and_labels("text")


def test_the_shipped_classifier_is_such_a_task(tmp_path: Path) -> None:
    _, task = build_data_and_task(compose_config([*QUICK]).config)
    assert isinstance(task, LossesTask)
    assert isinstance(task.network, nn.Module)
