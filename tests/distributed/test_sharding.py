"""FSDP by two real processes on CPUs: real shards, measured, stopped, continued and loaded as whole copies are."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from running import TRAIN, finished

TESTS = Path(__file__).parents[1]
NUM_WEIGHTS = 83
PATHS = {"PYTHONPATH": os.pathsep.join((str(TESTS.parent / "src"), str(TESTS)))}
BROUGHT = (f"extensions=[{Path(__file__).with_name('fsdp_on_cpu.py')}]",)
DATA = "task.datamodule=lightning_projects.BlobsDM"
FSDP = "trainer.extra.strategy=fsdp"
WORDS = (
    *(*TRAIN, *BROUGHT, "task=lightning"),
    *(
        "task.datamodule=lightning_projects.BlobsDM",
        "trainer.max_epochs=3",
        "trainer.devices=2",
        "run.name=a",
    ),
    *("trainer.accelerator=cpu", "trainer.progress_bar=false", "logging.pictures=false"),
)


def trained(folder: Path, name: str, *words: str, module: str = "Watched", stop_at: str = "") -> Path:
    """Train a project by two processes, or begin to; return its directory."""
    command = [*WORDS, f"run.id={name}", f"task.module=fsdp_on_cpu.{module}", *words]
    ended = finished(
        command, folder / f"{name}{stop_at}.txt", PATHS | {"FSDP_ON_CPU": "1", "STOP_AT": stop_at}
    )
    assert ended.process.returncode == (75 if stop_at else 0), ended.output
    return folder / "logs" / "a" / name


def held(run: Path) -> list[int]:
    return [json.loads((run / f"held{rank}.json").read_text()) for rank in range(2)]


def last(run: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint


def scores(run: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((run / "result.json").read_text())["last"]
    return found


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float) -> None:
    assert list(one) == list(other)
    for name in one:
        assert torch.allclose(one[name], other[name], rtol=0, atol=tolerance), name


CLIPPED = "trainer.gradient_clip_val=0.5"


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("sharded"), "fsdp", FSDP, CLIPPED)


@pytest.mark.ddp
def test_shards_give_the_numbers_of_whole_copies(sharded: Path, tmp_path: Path) -> None:
    copies = trained(tmp_path, "ddp", CLIPPED)
    assert held(copies) == [NUM_WEIGHTS, NUM_WEIGHTS]
    assert sum(held(sharded)) == NUM_WEIGHTS
    assert max(held(sharded)) < NUM_WEIGHTS
    assert scores(sharded) == pytest.approx(scores(copies), abs=1e-6)
    tags = {
        f"{quantity}/{split}" for quantity in ("loss", "acc", "weight") for split in ("train", "val", "test")
    }
    assert tags | {"gap/loss", "gap/acc"} <= scores(sharded).keys()
    assert_equal(last(sharded)["state_dict"], last(copies)["state_dict"], 1e-6)
    moments = [last(run)["optimizer_states"][0]["state"] for run in (sharded, copies)]
    for place, state in moments[1].items():
        assert torch.allclose(
            moments[0][place]["momentum_buffer"], state["momentum_buffer"], rtol=0, atol=1e-6
        )
    assert json.loads((sharded / "result.json").read_text())["num_parameters"] == NUM_WEIGHTS


@pytest.mark.ddp
def test_one_process_opens_and_measures_what_was_sharded(sharded: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "gaplab.evaluate", str(sharded), *BROUGHT, "--weights=last", "--json"]
    ended = finished([*words, "task.module=fsdp_on_cpu.Watched", DATA], tmp_path / "log", PATHS)
    assert ended.process.returncode == 0, ended.output
    alone = json.loads(ended.output[ended.output.index("{") : ended.output.rindex("}") + 1])
    found = {tag: value for tag, value in scores(sharded).items() if tag.endswith(("/val", "/test"))}
    assert {tag: alone[tag] for tag in found} == pytest.approx(found, abs=1e-6)


@pytest.mark.ddp
def test_a_stopped_run_of_shards_continues_bit_for_bit(sharded: Path, tmp_path: Path) -> None:
    begun = trained(tmp_path, "fsdp", FSDP, CLIPPED, stop_at="3")
    assert last(begun)["global_step"] == 3
    assert trained(tmp_path, "fsdp", FSDP, CLIPPED) == begun
    assert_equal(last(begun)["state_dict"], last(sharded)["state_dict"], 0)
    assert scores(begun) == scores(sharded)
