"""Networks of a user's own as stacked models: convolutions, running statistics, and what is refused with a reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gaplab import register
from gaplab.config.compose import Composed, compose_config
from gaplab.config.network import NetworkConfig
from gaplab.config.registry import CHOICES
from gaplab.runs.resume import plan_new
from gaplab.sweeps.grouping import group_key
from gaplab.sweeps.train_work import run_many
from gaplab.train import run_one
from quick_runs import QUICK, set_once
from same_runs import assert_same_run

WORDS = [word for word in QUICK if not word.startswith("network.")]
WORDS += [
    "trainer.precision=64-true",
    "logging.pictures=false",
    "logging.subruns=never",
    "logging.diagnostics=none",
]


@dataclass(kw_only=True, slots=True)
class BroughtConfig(NetworkConfig):
    kind: str = "batch_norm"


class Channels(nn.Module):
    """Two features as two channels of a signal of length one, or back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (2, -1)) if x.ndim == 2 else x.flatten(1)


class Hidden(nn.Module):
    """Keeps a number of its own where no state dict sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.rand(1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.to(x)


class Counter(nn.Module):
    """Puts a new tensor in the place of its buffers, one of which is not saved."""

    mean: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("seen", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean().detach()
            self.seen = self.seen + 1
        return x - self.mean


def build(config: BroughtConfig, in_features: int, out_features: int, generator: Any) -> nn.Module:
    layers: dict[str, list[nn.Module]] = {
        "batch_norm": [
            nn.Conv1d(2, 4, 3, padding=1, bias=False),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            Channels(),
            nn.LayerNorm(16),
        ],
        "counter": [Channels(), Counter()],
        "hidden": [Channels(), Hidden()],
        "dropout": [Channels(), nn.Dropout(0.2)],
        "batch statistics": [nn.BatchNorm1d(2, track_running_stats=False), Channels()],
        "random": [Channels(), Noise()],
    }
    chosen = layers[config.kind]
    size = 16 if config.kind == "batch_norm" else 8
    return nn.Sequential(nn.Linear(in_features, 8), Channels(), *chosen, nn.Linear(size, out_features))


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) if self.training else x


@pytest.fixture(autouse=True)
def brought() -> Iterator[None]:
    register("network", "brought", BroughtConfig, build)
    yield
    del CHOICES["network"]["brought"]


def compose(*words: str) -> Composed:
    return compose_config(set_once(*WORDS, "network=brought", *words))


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("batch_norm", "eager"),
        ("batch_norm", "traced"),
        pytest.param("batch_norm", "compiled", marks=pytest.mark.thorough),
        ("counter", "eager"),
    ],
)
def test_running_statistics_are_those_of_the_run_alone(
    tmp_path: Path, kind: str, way: str, request: pytest.FixtureRequest
) -> None:
    """60 points in batches of 16: the last batch of an epoch has 12, of which alone the statistics are taken."""
    jobs = [
        compose(f"network.kind={kind}", f"seed={seed}", f"optimizer.lr={lr}", *more)
        for seed, lr, more in (
            (1, 0.01, ()),
            (2, 0.05, ()),
            (3, 0.03, ("trainer.stop_at_train_accuracy=0.3",)),  # it stops first, and keeps its statistics
        )
    ]
    said: list[str] = []
    plans = [plan_new(job, tmp_path / "together" / str(number)) for number, job in enumerate(jobs)]
    if way == "traced":
        request.getfixturevalue("traced_only")
    run_many(plans, compile=way != "eager", log=said.append)
    assert len(said) == 1, said
    for number, job in enumerate(jobs):
        run_one(job, tmp_path / "alone" / str(number))
        assert_same_run(tmp_path / "together" / str(number), tmp_path / "alone" / str(number))
    state = torch.load(tmp_path / "together" / "0" / "checkpoints" / "last.ckpt", weights_only=True)[
        "state_dict"
    ]
    if kind == "batch_norm":
        assert state["network.3.num_batches_tracked"] == 24
    else:
        assert state["network.3.mean"] != 0
        assert "network.3.seen" not in state


def test_statistics_go_on_after_a_stop(tmp_path: Path, stop_at: Any) -> None:
    jobs = [compose(f"seed={seed}") for seed in (1, 2)]
    stop_at(8)
    with pytest.raises(BaseException, match="SIGTERM at step 8"):
        run_many(
            [plan_new(job, tmp_path / "parts" / str(number)) for number, job in enumerate(jobs)],
            compile=False,
        )
    stop_at(None)
    again = [plan_new(job, tmp_path / "parts" / str(number)) for number, job in enumerate(jobs)]
    assert all(plan.checkpoint is not None for plan in again)
    run_many(again, compile=False)
    run_one(jobs[1], tmp_path / "alone")
    assert_same_run(tmp_path / "parts" / "1", tmp_path / "alone")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (
            "hidden",
            "the networks differ in more than parameters and buffers, such as a tensor that is neither",
        ),
        ("dropout", "the network's 3 (Dropout) draws from the global generator"),
        ("batch statistics", "the network's 2 (BatchNorm1d) normalises by the batch in eval mode too"),
        ("random", "vmap: called random operation"),
    ],
)
def test_what_is_no_pure_function_trains_alone_and_says_why(tmp_path: Path, kind: str, reason: str) -> None:
    said: list[str] = []
    jobs = [compose(f"network.kind={kind}", f"seed={seed}", "trainer.max_steps=8") for seed in (1, 2)]
    plans = [plan_new(job, tmp_path / "together" / str(number)) for number, job in enumerate(jobs)]
    objectives = run_many(plans, log=said.append, compile=False)
    assert f"Training 2 of 2 runs one by one: stacked training failed: {reason}" in said[1]
    assert run_one(jobs[1], tmp_path / "alone").objective == objectives[1]


def test_numbers_of_points_make_groups_only_where_points_may_be_compared() -> None:
    few, many = (compose(f"data.num_points={number}").config for number in (48, 60))
    assert group_key(few) != group_key(many)
    plain = [compose_config([*WORDS[1:], f"data.num_points={number}"]).config for number in (48, 60)]
    assert group_key(plain[0]) == group_key(plain[1])


def test_a_frozen_parameter_is_not_trained_in_a_stack(tmp_path: Path) -> None:
    def build_frozen(config: BroughtConfig, in_features: int, out_features: int, generator: Any) -> nn.Module:
        network = nn.Sequential(nn.Linear(in_features, 8), nn.ReLU(), nn.Linear(8, out_features))
        network[0].weight.requires_grad_(False)
        return network

    register("network", "brought", BroughtConfig, build_frozen)
    said: list[str] = []
    jobs = [compose(f"seed={seed}", "trainer.max_steps=8") for seed in (1, 2)]
    plans = [plan_new(job, tmp_path / str(number)) for number, job in enumerate(jobs)]
    run_many(plans, log=said.append, compile=False)
    assert "the network's 0.weight is a parameter that is not trained; a buffer can be stacked" in said[1]
