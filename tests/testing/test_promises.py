"""The checker passes what keeps its promises, and names the promise that a broken choice breaks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gaplab import register
from gaplab.config import registry
from gaplab.config.network import NetworkConfig
from gaplab.errors import ConfigError
from gaplab.testing import BrokenPromiseError, CheckedChoice, check_choice

SMALL = ("data.num_points=60", "data.num_val_points=40", "data.num_test_points=80", "data.batch_size=16")
ALONE = ("shares", "stacks")


class Broken(nn.Module):
    """A linear map that is broken in one way."""

    def __init__(self, in_features: int, out_features: int, way: str) -> None:
        super().__init__()
        self.map, self.way = nn.Linear(in_features, out_features), way
        self.calls = torch.zeros(())  # neither parameter nor buffer
        if way == "unseeded":
            with torch.no_grad():
                self.map.weight += torch.randn(self.map.weight.shape, generator=_unseeded()).to(
                    self.map.weight
                )
        self.norm = nn.BatchNorm1d(out_features) if way == "norm" else nn.Identity()

    def forward(self, points: Tensor) -> Tensor:
        if self.way == "forgetful":
            if self.training:
                self.calls = self.calls + 1
            return self.map(points) * (1 + 0.1 * self.calls)
        return self.norm(self.map(points))


def _unseeded() -> torch.Generator:
    generator = torch.Generator()
    generator.seed()
    return generator


@dataclass(kw_only=True, slots=True)
class BrokenConfig(NetworkConfig):
    way: str = "none"
    sizes: list[int] = field(default_factory=list)

    def build(self, in_features: int, out_features: int, generator: Any) -> nn.Module:
        return Broken(in_features, out_features + (self.way == "size"), self.way)


@pytest.fixture(autouse=True)
def broken_choice() -> Iterator[None]:
    register("network", "broken", BrokenConfig)
    yield
    registry.CHOICES["network"].pop("broken")


class TestTheDefaultNetwork(CheckedChoice):
    words = (*SMALL, "network.widths=[8]")


@pytest.mark.parametrize(
    "words", [("network=linear",), ("data=ring", "optimizer=sgd")], ids=lambda words: " ".join(words)
)
def test_shipped_choices_keep_their_promises_alone(words: tuple[str, ...], tmp_path: Path) -> None:
    check_choice(*SMALL, *words, leave_out=["shares"], folder=tmp_path)


@pytest.mark.parametrize(
    ("way", "promise", "left_out"),
    [
        ("unseeded", "repeats: task.*|repeats: .*generator", ALONE),
        ("forgetful", "resumes: .*register_buffer|loads: .*state_dict", ("repeats", *ALONE)),
    ],
)
def test_a_broken_promise_is_named(way: str, promise: str, left_out: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(BrokenPromiseError, match=promise):
        check_choice(
            *SMALL, "network=broken", f"network.way={way}", leave_out=list(left_out), folder=tmp_path
        )


def test_what_is_no_promise_is_refused() -> None:
    with pytest.raises(ValueError, match="leave_out: expected some of trains, repeats.* got speed"):
        check_choice(leave_out=["speed"])


def test_a_choice_that_cannot_be_composed_is_told_so() -> None:
    with pytest.raises(ConfigError, match="network: expected one of"):
        check_choice("network=brocken")
