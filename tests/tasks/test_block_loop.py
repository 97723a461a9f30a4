"""Blocks of steps against Lightning's own loop, and what makes the stock loop run."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    DeviceStatsMonitor,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gaplab.builders import build_data_and_task, build_trainer
from gaplab.config.compose import compose_config
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.errors import ConfigError, Preempted
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.resume import plan_new, plan_resumption
from gaplab.tasks.block_loop import BlockOptimization
from gaplab.tasks.classifier import Classifier
from gaplab.train import run_one, run_planned
from quick_runs import QUICK, QUICK_GAN, Compose

CASES = {
    "dropout": ("network.widths=[8,8]", "network.dropout=0.5"),
    "scheduled": ("optimizer.schedule=cosine", "optimizer.warmup_steps=3", "optimizer.max_grad_norm=0.1"),
    "clipped": ("trainer.gradient_clip_val=0.01", "trainer.gradient_clip_algorithm=value"),
    "full batch": ("data.batch_size=null", "optimizer=sgd"),
    "lbfgs": ("data.batch_size=null", "optimizer=lbfgs", "trainer.max_steps=6"),
}


def state(run: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    return weights


def history(run: Path) -> Any:
    callbacks = read_checkpoint(run / "checkpoints" / "last.ckpt")["callbacks"]
    return next(saved["history"] for name, saved in callbacks.items() if name == "Recorder")


def assert_same(one: Path, other: Path) -> None:
    first, second = state(one), state(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert history(one) == history(other)


@pytest.mark.parametrize("case", CASES)
def test_blocks_give_the_weights_of_the_stock_loop(case: str, quick: Compose, tmp_path: Path) -> None:
    for steps in ("null", "1", "3"):
        run_one(quick(*CASES[case], f"trainer.block_steps={steps}"), tmp_path / steps)
    assert_same(tmp_path / "null", tmp_path / "1")
    assert_same(tmp_path / "null", tmp_path / "3")


@pytest.mark.usefixtures("few_draws")
def test_blocks_of_a_gan_give_the_weights_of_the_stock_loop(tmp_path: Path) -> None:
    words = [*QUICK_GAN, "task.discriminator_steps=2", "optimizer.max_grad_norm=0.1", f"run.root={tmp_path}"]
    for steps in ("null", "1"):
        run_one(compose_config([*words, f"trainer.block_steps={steps}"]), tmp_path / steps)
    assert_same(tmp_path / "null", tmp_path / "1")


@pytest.mark.parametrize(("before", "after"), [("1", "1"), ("null", "1"), ("1", "null"), ("3", "null")])
def test_a_run_goes_on_with_other_blocks(
    before: str, after: str, quick: Compose, tmp_path: Path, stop_at: Any
) -> None:
    words = ("optimizer.schedule=cosine", "network.dropout=0.2")
    run_one(quick(*words), tmp_path / "whole")
    stop_at(8)
    with pytest.raises(Preempted):
        run_one(quick(*words, f"trainer.block_steps={before}"), tmp_path / "parts")
    stop_at(None)
    run_planned(plan_resumption(tmp_path / "parts", [f"trainer.block_steps={after}"]))
    assert_same(tmp_path / "whole", tmp_path / "parts")


def fitted(
    config: Config, *callbacks: Callback, logger: CSVLogger | None = None
) -> tuple[Trainer, Classifier]:
    data, task = build_data_and_task(config)
    trainer = build_trainer(config, list(callbacks), [] if logger is None else [logger])
    trainer.fit(task, datamodule=data)
    assert isinstance(task, Classifier)
    return trainer, task


def in_blocks(trainer: Trainer) -> bool:
    return isinstance(trainer.fit_loop.epoch_loop.automatic_optimization, BlockOptimization)


class Listener(Callback):
    """Counts the steps that it is told of."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_before_optimizer_step(self, trainer: Trainer, *_: Any) -> None:
        self.seen.append(trainer.global_step)


def test_a_callback_between_steps_gets_the_stock_loop_and_one_sentence(
    quick: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    config = quick().config
    with caplog.at_level(logging.WARNING, logger="gaplab"):
        listener = Listener()
        trainer, heard = fitted(config, listener)
    assert not in_blocks(trainer)
    assert listener.seen == list(range(24))
    (record,) = (record for record in caplog.records if record.name == "gaplab.tasks.block_loop")
    assert "the callback Listener defines on_before_optimizer_step" in record.getMessage()
    trainer, alone = fitted(config)
    assert in_blocks(trainer)
    for ours, theirs in zip(heard.parameters(), alone.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_accumulated_gradients_equal_a_bare_loop(quick: Compose) -> None:
    config = quick("trainer.accumulate_grad_batches=3", "optimizer=sgd", "trainer.max_steps=6").config
    trainer, task = fitted(config)
    assert trainer.global_step == 6
    data, other = build_data_and_task(config)
    assert isinstance(other, Classifier)
    optimizer = torch.optim.SGD(other.parameters(), lr=config.optimizer.lr)
    from gaplab.randomness import epoch_order

    train = data.splits["train"]
    for epoch in range(3):  # four batches an epoch: a step of three, and a step of the one that is left
        batches = epoch_order(60, config.train_seed, epoch).split(16)
        for group in (batches[:3], batches[3:]):
            optimizer.zero_grad()
            for chosen in group:
                loss = functional.cross_entropy(other(train.points[chosen]), train.labels[chosen])
                (loss / 3).backward()
            optimizer.step()
    for ours, theirs in zip(task.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_accumulated_run_stops_and_goes_on(quick: Compose, tmp_path: Path, stop_at: Any) -> None:
    words = ("trainer.accumulate_grad_batches=3", "trainer.max_steps=12", "trainer.eval_every_n_steps=4")
    run_one(quick(*words), tmp_path / "whole")
    stop_at(5)
    with pytest.raises(Preempted):
        run_one(quick(*words), tmp_path / "parts")
    stop_at(None)
    run_planned(plan_new(quick(*words), tmp_path / "parts"))
    assert all(torch.equal(v, state(tmp_path / "parts")[n]) for n, v in state(tmp_path / "whole").items())


@pytest.mark.parametrize("block_steps", ["1", "null"])
def test_monitors_log_against_optimiser_steps(quick: Compose, tmp_path: Path, block_steps: str) -> None:
    words = ("optimizer.schedule=linear", f"trainer.block_steps={block_steps}")
    callbacks = (LearningRateMonitor("step"), DeviceStatsMonitor(cpu_stats=False))
    config = quick(*words).config
    logger = CSVLogger(tmp_path)
    fitted(config, *callbacks, logger=logger)
    logger.save()
    rows = [line.split(",") for line in Path(logger.log_dir, "metrics.csv").read_text().splitlines()]
    rate, step = (next(i for i, name in enumerate(rows[0]) if name.startswith(n)) for n in ("lr-", "step"))
    found = {int(row[step]): float(row[rate]) for row in rows[1:] if row[rate]}
    assert sorted(found) == list(range(24)), "these callbacks look at every step"
    for number, value in found.items():
        assert value == pytest.approx(config.optimizer.lr * (1 - number / 24))


def test_stochastic_weight_averaging_averages_epochs(quick: Compose) -> None:
    config = quick("optimizer=sgd").config
    epochs: list[list[Tensor]] = []

    class Epochs(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch >= 2:
                epochs.append([p.detach().clone() for p in pl_module.parameters()])

    trainer, task = fitted(config, Epochs(), StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=3))
    assert (trainer.current_epoch, len(epochs)) == (6, 4)
    for index, ours in enumerate(task.parameters()):
        torch.testing.assert_close(ours.detach(), torch.stack([one[index] for one in epochs]).mean(dim=0))


def test_model_checkpoint_and_early_stopping_watch_any_metric(quick: Compose, tmp_path: Path) -> None:
    keeper = ModelCheckpoint(tmp_path, filename="{step}", monitor="accuracy/test", mode="max", save_top_k=-1)
    stopper = EarlyStopping("loss/test", patience=1, min_delta=1e9)
    trainer, _ = fitted(quick().config, keeper, stopper)
    assert trainer.global_step == 16, "the second measurement is no better by so much"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step=16.ckpt", "step=8.ckpt"]


class Plain(LightningModule):
    """What a stranger writes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        loss = functional.cross_entropy(self.layer(batch[0]), batch[1])
        self.log("seen", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("loss", functional.cross_entropy(self.layer(batch[0]), batch[1]))

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("tested", functional.cross_entropy(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class PlainData(LightningDataModule):
    """Points from workers."""

    def loader(self) -> DataLoader[Any]:
        draws = torch.Generator().manual_seed(0)
        points = torch.randn(60, 2, generator=draws)
        data = TensorDataset(points, (points[:, 0] > 0).long())
        return DataLoader(data, batch_size=12, num_workers=1, persistent_workers=True)

    train_dataloader = val_dataloader = test_dataloader = loader


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers.*", "ignore:.*isinstance.treespec, LeafSpec.*"
)
def test_a_plain_module_and_loaders_with_workers_are_trained_and_tested(
    quick: Compose, tmp_path: Path
) -> None:
    config = quick().config
    config.trainer.max_steps, config.trainer.eval_every_n_steps = 12, 4
    torch.manual_seed(0)  # a plain module draws its weights, and a plain loader its order, from there
    logger, data, module = CSVLogger(tmp_path), PlainData(), Plain()
    trainer = build_trainer(config, [], [logger])
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 12
    assert trainer.test(module, datamodule=data, verbose=False)[0]["tested"] < 0.68
    rows = Path(logger.log_dir, "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("step")
    seen = rows[0].split(",").index("seen")
    steps = [int(row.split(",")[column]) for row in rows[1:] if row.split(",")[seen]]
    assert steps == list(range(12))


def test_a_plain_module_takes_blocks_of_points(quick: Compose) -> None:
    class OnPoints(Plain):
        def training_step(self, batch: Any) -> Tensor:  # type: ignore[override]
            return super().training_step([batch.points, batch.labels])

        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
            super().validation_step(batch, batch_idx)

    found = []
    for words in ((), ("trainer.block_steps=1",)):
        config = quick(*words).config
        data, _ = build_data_and_task(config)
        assert isinstance(data, PointDataModule)
        torch.manual_seed(0)
        module = OnPoints()
        trainer = build_trainer(config, [], [])
        trainer.fit(module, datamodule=data)
        assert in_blocks(trainer) is (not words)
        found.append(module.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_half_precision_without_a_gpu_is_refused() -> None:
    config = compose_config([*QUICK, "trainer.precision=16-mixed"]).config
    with pytest.raises(ConfigError, match="expected a GPU for 16-mixed"):
        build_trainer(config, [], [])


def test_a_gan_refuses_what_only_automatic_optimisation_has() -> None:
    with pytest.raises(ConfigError, match=r"trainer.accumulate_grad_batches: expected 1: each player"):
        compose_config([*QUICK_GAN, "trainer.accumulate_grad_batches=2"])
