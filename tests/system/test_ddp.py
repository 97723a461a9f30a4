"""Several processes on one machine: the same numbers, one directory, nothing left behind."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from gaplab.config.compose import compose_config
from gaplab.train import run_one
from quick_runs import GAN_INGREDIENTS, set_once
from running import DEADLINE, TRAIN, alive, finished, running

pytestmark = pytest.mark.ddp

ODD = (
    "data.num_points=103",
    "data.num_val_points=41",
    "data.num_test_points=59",
    "data.batch_size=25",
    "data.label_noise=0.1",
    "network.widths=[16,16]",
    "network.dropout=0.2",
    "optimizer=sgd",
    "optimizer.momentum=0.9",
    "optimizer.weight_decay=1e-3",
    "optimizer.max_grad_norm=1",
    "trainer.max_steps=60",
    "trainer.eval_every_n_steps=30",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
)
"""Sizes that neither 2 nor 3 divides; plain SGD, because Adam would hide gradients of a wrong scale."""


def weights(run: Path) -> torch.Tensor:
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return torch.cat([tensor.double().flatten() for tensor in content["state_dict"].values()])


def numbers(run: Path) -> dict[str, float]:
    result = json.loads((run / "result.json").read_text())
    return {
        f"{part}/{name}": value for part in ("last", "best") for name, value in (result[part] or {}).items()
    }


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One multirun whose jobs have 3 processes and one; the other tests here have two."""
    folder = tmp_path_factory.mktemp("sweep")
    words = set_once(
        *ODD, "trainer.max_steps=20", "trainer.eval_every_n_steps=10", "trainer.precision=64-true"
    )
    overrides = ["trainer.devices=3,1", *words, f"run.root={folder / 'logs'}"]
    command = finished([*TRAIN, "-m", *overrides], folder / "log.txt")
    assert command.process.returncode == 0, command.output
    return folder


def test_three_processes_give_the_numbers_of_one(sweep: Path) -> None:
    runs = {path.name: path for path in sweep.glob("logs/sweep-*/devices=*/")}
    assert sorted(runs) == ["devices=1", "devices=3"]
    one, three = runs["devices=1"], runs["devices=3"]
    assert json.loads((one / "run.json").read_text())["status"] == "finished"
    torch.testing.assert_close(weights(three), weights(one), rtol=0, atol=1e-8)
    assert numbers(three) == pytest.approx(numbers(one), abs=1e-8)


def test_sweep_leaves_one_directory_a_job_and_nothing_else(sweep: Path) -> None:
    assert sorted(path.name for path in sweep.iterdir()) == ["log.txt", "logs"]
    assert len(list(sweep.glob("logs/*"))) == 1
    names = sorted(path.name for path in sweep.glob("logs/sweep-*/*/"))
    assert names == ["devices=1", "devices=3", "figures", "summary"], "jobs and their sum"
    for run in sweep.glob("logs/sweep-*/devices=*/"):
        files = list(run.rglob("events.out.tfevents.*"))
        folders = {str(file.parent.relative_to(run)) for file in files}
        ends = {"95% lower", "95% upper"}
        assert folders == {".", "train", "val", "test", *ends}, "the run and its sub-runs"
        assert sum(file.name.endswith(".session") for file in files) == 1
        assert not list(run.rglob(".*.*"))


def test_single_precision_agrees_to_a_stated_tolerance(tmp_path: Path) -> None:
    overrides = set_once(*ODD, "trainer.max_steps=20", f"run.root={tmp_path}")
    command = finished([*TRAIN, *overrides, "trainer.devices=2", "run.id=two"], tmp_path / "log.txt")
    assert command.process.returncode == 0, command.output
    run_one(compose_config(overrides), tmp_path / "one")
    torch.testing.assert_close(
        weights(tmp_path / "default/two"), weights(tmp_path / "one"), rtol=0, atol=1e-5
    )


GAN = (
    "experiment=gan_ring",
    "task.gradient_penalty=0.1",
    "task.label_embedding=2",
    "data.num_points=103",
    "data.num_val_points=101",
    "data.num_test_points=107",
    "data.batch_size=25",
    "task.generator.widths=[16,16]",
    "task.discriminator.widths=[16,16]",
    "task.num_samples=200",
    "trainer.max_steps=20",
    "trainer.eval_every_n_steps=10",
    "trainer.accelerator=cpu",
    "trainer.precision=64-true",
    "trainer.progress_bar=false",
)


def test_gan_of_two_processes_is_the_gan_of_one(tmp_path: Path) -> None:
    overrides = [*GAN, *GAN_INGREDIENTS, f"run.root={tmp_path}"]
    command = finished([*TRAIN, *overrides, "trainer.devices=2", "run.id=two"], tmp_path / "log.txt")
    assert command.process.returncode == 0, command.output
    run_one(compose_config(overrides), tmp_path / "one")
    (two,) = tmp_path.glob("*/two")
    torch.testing.assert_close(weights(two), weights(tmp_path / "one"), rtol=0, atol=1e-6)
    ours, theirs = numbers(two), numbers(tmp_path / "one")
    assert ours == pytest.approx(theirs, abs=1e-4, nan_ok=True)


LONG = (*ODD, "trainer.max_steps=10000000", "trainer.devices=2", "trainer.checkpoint_every_n_seconds=0.2")


def test_killed_worker_ends_the_run_and_killed_parent_ends_the_worker(tmp_path: Path) -> None:
    run = tmp_path / "default" / "x"
    words = [*TRAIN, *set_once(*LONG), f"run.root={tmp_path}", "run.id=x"]
    with running(words, tmp_path / "first.txt") as command:
        command.wait_for((run / "checkpoints" / "last.ckpt").is_file)
        (worker,) = command.children()
        os.kill(worker, signal.SIGKILL)
        assert command.finish() == 1
        assert "process 1 of 2 was ended by SIGKILL" in command.output
    assert json.loads((run / "run.json").read_text())["status"] == "failed"

    (run / "checkpoints" / "previous.ckpt").unlink(missing_ok=True)
    with running(words, tmp_path / "second.txt") as command:
        command.wait_for((run / "checkpoints" / "previous.ckpt").is_file)
        (worker,) = command.children()
        os.kill(command.process.pid, signal.SIGKILL)
        command.finish()
        deadline = time.monotonic() + DEADLINE
        while alive(worker) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not alive(worker)


TWO = """
import pathlib, sys, torch
from gaplab.config.checks import ConfigError
from gaplab.config.trainer import TrainerConfig
from gaplab.distributed.process_group import broadcast_from_rank0, check_equal_parameters, join_group
from gaplab.errors import RanksDisagreeError
from gaplab.distributed.ranks import Ranks
rank, port = int(sys.argv[1]), int(sys.argv[2])
ranks = Ranks(rank=rank, local_rank=rank, processes_per_node=2, port=port)
join_group(ranks, TrainerConfig(accelerator="cpu", rendezvous_seconds=300), pathlib.Path("logs"))
assert not pathlib.Path("logs").exists(), "it held the secret for as long as they met"
assert broadcast_from_rank0(ranks, lambda: f"from {rank}") == "from 0"
def refuse():
    raise ConfigError("no")
try:
    broadcast_from_rank0(ranks, refuse)
except ConfigError as error:
    assert str(error) == "no"
else:
    raise SystemExit("rank 0's mistake did not arrive")
layer = torch.nn.Linear(2, 1)
torch.nn.init.ones_(layer.weight), torch.nn.init.zeros_(layer.bias)
check_equal_parameters(layer)
layer.weight.data[0, 0] += rank * 1e-7
try:
    check_equal_parameters(layer)
except RanksDisagreeError as error:
    assert "process 1 differ" in str(error), error
else:
    raise SystemExit("different weights went unnoticed")
"""


def test_rank_zero_decides_and_different_weights_are_noticed(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "two.py").write_text(TWO)
    words = [sys.executable, str(tmp_path / "two.py")]
    with (
        running([*words, "0", str(free_port)], tmp_path / "0.txt") as first,
        running([*words, "1", str(free_port)], tmp_path / "1.txt") as second,
    ):
        assert first.finish() == 0, first.output
        assert second.finish() == 0, second.output


NORMALISED = """
from dataclasses import dataclass

import torch
from torch import nn

from gaplab.config.network import NetworkConfig
from gaplab.config.registry import register


@dataclass(kw_only=True, slots=True)
class NormalisedConfig(NetworkConfig):
    width: int = 8


class Normalised(nn.Module):
    def __init__(self, in_features, width, out_features):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, out_features)
        )
        self.temperature = nn.Parameter(torch.tensor(1.0))

    def forward(self, points):
        return self.layers(points) * self.temperature


def build(config, in_features, out_features, generator):
    return Normalised(in_features, config.width, out_features)


register("network", "normalised", NormalisedConfig, build)
"""


def test_a_network_with_batch_norm_and_a_scalar_runs_in_two_processes(tmp_path: Path) -> None:
    """Running statistics are rank 0's: all processes end with the same, and the run can be loaded."""
    (tmp_path / "normalised.py").write_text(NORMALISED)
    words = [word for word in ODD if not word.startswith("network.")]
    words += ["extensions=[normalised.py]", "network=normalised", "run.id=normalised"]
    words = set_once(*words, "data.num_points=100", "trainer.max_steps=20", "trainer.eval_every_n_steps=20")
    found = []
    for devices in (1, 2):
        places = [f"trainer.devices={devices}", f"run.root={tmp_path / str(devices)}"]
        command = finished([*TRAIN, *words, *places], tmp_path / f"log{devices}.txt")
        assert command.process.returncode == 0, command.output
        found.append(numbers(tmp_path / str(devices) / "default" / "normalised"))
    assert found[0].keys() == found[1].keys()
    assert all(abs(value) < 1e3 for value in found[1].values())


JITTERED = """
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset

from gaplab import register
from gaplab.config.data import DataConfig


class Jittered(Dataset):
    def __init__(self, points, labels):
        self.points, self.labels = points, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        return self.points[row] + 0.1 * torch.randn(1), int(self.labels[row])


@dataclass(kw_only=True, slots=True)
class JitteredConfig(DataConfig):
    def build(self, stream):
        def dataset(split, number):
            labels = torch.arange(number) % 3
            points = torch.randn(number, 2, generator=stream(split)) + labels.unsqueeze(1)
            return Jittered(points, labels)

        return {"train": dataset("train", 53), "val": dataset("val", 21), "test": dataset("test", 31)}


register("data", "jittered", JitteredConfig)
"""


def test_datasets_that_are_read_lazily_give_two_processes_the_numbers_of_one(tmp_path: Path) -> None:
    """Augmented by the global generators, read by workers or not, in batches that two processes share unequally."""
    (tmp_path / "jittered.py").write_text(JITTERED)
    words = [word for word in ODD if not word.startswith("data.")]
    words = [
        *words,
        "data=jittered",
        "data.batch_size=25",
        "extensions=[jittered.py]",
        "trainer.precision=64-true",
    ]
    words = set_once(*words, "trainer.max_steps=12", "trainer.eval_every_n_steps=6", f"run.root={tmp_path}")
    for name, *own in (("one",), ("two", "trainer.devices=2", "data.num_workers=1")):
        command = finished([*TRAIN, *words, *own, f"run.id={name}"], tmp_path / f"{name}.txt")
        assert command.process.returncode == 0, command.output
    one, two = (tmp_path / "default" / name for name in ("one", "two"))
    torch.testing.assert_close(weights(two), weights(one), rtol=0, atol=1e-8)
    assert numbers(two) == pytest.approx(numbers(one), abs=1e-8)
