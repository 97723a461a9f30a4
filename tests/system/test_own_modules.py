"""What a user brings draws from the global generators: the same numbers every time, and after a restart."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gaplab.builders import build_data_and_task
from gaplab.config import registry
from gaplab.config.compose import Composed, compose_config
from gaplab.config.data import DataConfig
from gaplab.config.network import NetworkConfig
from gaplab.config.registry import register
from gaplab.errors import ConfigError, Preempted
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.resume import plan_new
from gaplab.train import run_one, run_planned
from quick_runs import QUICK


@dataclass(kw_only=True, slots=True)
class PlainConfig(NetworkConfig):
    rate: float = 0.3


@dataclass(kw_only=True, slots=True)
class TableConfig(DataConfig):
    wrong: str = ""


def build_plain(config: PlainConfig, in_features: int, out_features: int, generator: Any) -> nn.Module:
    return nn.Sequential(
        nn.Linear(in_features, 8), nn.ReLU(), nn.Dropout(config.rate), nn.Linear(8, out_features)
    )


def build_table(config: TableConfig, stream: Any) -> Any:
    def draw(split: str, num_points: int) -> tuple[Tensor, Tensor]:
        number = num_points + 400 if config.wrong == "size" else num_points
        points = torch.rand(number, 2)
        labels = torch.arange(number) % 2
        if config.wrong == "nan" and split == "val":
            points[3, 1] = torch.nan
        if config.wrong == "short":
            labels = labels[:-1]
        if config.wrong == "range":
            labels = labels + 1
        if config.wrong == "kind":
            labels = labels.float()
        return points, labels

    return draw, 2


@pytest.fixture(autouse=True)
def own_choices() -> Iterator[None]:
    register("network", "plain", PlainConfig, build_plain)
    register("data", "table", TableConfig, build_table)
    yield
    registry._builders.pop(PlainConfig)
    registry._builders.pop(TableConfig)


def compose(root: Path, *words: str) -> Composed:
    quick = [word for word in QUICK if not word.startswith("network.")]
    return compose_config([*quick, f"run.root={root}", "network=plain", *words])


def weights(run: Path) -> dict[str, Tensor]:
    return read_weights(run / "checkpoints" / "last.ckpt").weights


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(tmp_path: Path) -> None:
    for number in range(2):
        torch.manual_seed(number)
        torch.rand(number)
        run_one(compose(tmp_path), tmp_path / str(number))
    first, second = weights(tmp_path / "0"), weights(tmp_path / "1")
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_data_and_task(compose(tmp_path, "init_seed=1").config)[1].state_dict()
    same = build_data_and_task(compose(tmp_path, "train_seed=1").config)[1].state_dict()
    start = build_data_and_task(compose(tmp_path).config)[1].state_dict()
    assert all(torch.equal(start[name], same[name]) for name in start)
    assert not any(torch.equal(start[name], other[name]) for name in start)


def test_building_leaves_the_global_generators_alone(tmp_path: Path) -> None:
    composed = compose(tmp_path)
    for generator in (torch.manual_seed, np.random.seed, random.seed):
        generator(7)
    build_data_and_task(composed.config)
    found = float(torch.rand(())), float(np.random.rand()), random.random()
    for generator in (torch.manual_seed, np.random.seed, random.seed):
        generator(7)
    assert found == (float(torch.rand(())), float(np.random.rand()), random.random())


def test_dropout_of_torch_continues_bit_for_bit(tmp_path: Path, stop_at: Any) -> None:
    composed = compose(tmp_path)
    run_one(composed, tmp_path / "whole")
    stop_at(8)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    stop_at(None)
    torch.rand(5)
    run_planned(plan_new(composed, tmp_path / "parts"))
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_distances_start_at_the_weights_that_were_there(tmp_path: Path) -> None:
    words = ("measures=capacity", "optimizer=sgd", "optimizer.lr=1e-12", "trainer.max_steps=8")
    result = run_one(compose(tmp_path, *words), tmp_path / "run")
    assert result.measures["capacity/fro_dist"] < 1e-6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("size", "data.num_points: expected .* the 60 train points .* returned 460.* data.num_points=460"),
        ("nan", "data, val: expected finite numbers, but 1 of 40 points .* row 3"),
        ("short", "data, train: expected a label for each of the 60 points, .* shape .59."),
        ("range", "data, train: expected labels from 0 to 1, .* but got 1 to 2"),
        ("kind", "data, train: expected labels that are whole numbers .* but got torch.float32"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_by_name(tmp_path: Path, wrong: str, message: str) -> None:
    composed = compose(tmp_path, "data=table", f"data.wrong={wrong}")
    with pytest.raises(ConfigError, match=message):
        run_one(composed, tmp_path / "run")
    assert not (tmp_path / "run").exists()
