"""Single bits of a checkpoint that are turned over, as by a bad disk: never other numbers without a word."""

import random
import shutil
from pathlib import Path

import pytest
import torch

from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_resumption
from gaplab.train import run_one, run_planned
from quick_runs import Compose


def flip(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def same(left: object, right: object) -> bool:
    """Whether two contents of checkpoints are equal bit for bit."""
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("count", [100, pytest.param(3000, marks=pytest.mark.thorough)])
def test_a_flipped_bit_is_found_or_changes_nothing(count: int, finished_run: Path, tmp_path: Path) -> None:
    whole = (finished_run / "checkpoints" / "last.ckpt").read_bytes()
    expected, file = read_checkpoint(finished_run / "checkpoints" / "last.ckpt"), tmp_path / "last.ckpt"
    rng, found = random.Random(0), 0
    for _ in range(count):
        bit = rng.randrange(8 * len(whole))
        file.write_bytes(flip(whole, bit))
        try:
            content = read_checkpoint(file)
        except ConfigError:
            found += 1
            continue
        assert same(content, expected), f"bit {bit} gave other numbers"
    assert found > count // 2


def test_a_run_goes_on_from_the_checkpoint_before_the_damaged_one(
    quick: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    words = ["trainer.checkpoint_every_n_seconds=1e-9", "trainer.block_steps=4"]
    run_one(quick(*words), whole)
    shutil.copytree(whole, hurt)
    last = hurt / "checkpoints" / "last.ckpt"
    name, weight = next(iter(read_checkpoint(last)["state_dict"].items()))
    place = last.read_bytes().index(weight.numpy().tobytes())
    last.write_bytes(flip(last.read_bytes(), 8 * place + 3))
    assert not torch.equal(torch.load(last, weights_only=True)["state_dict"][name], weight), (
        "torch says nothing"
    )
    plan = plan_resumption(hurt, ["trainer.max_steps=30"])
    said = capsys.readouterr().out
    assert "the checksum of " in said
    assert "Continuing from previous.ckpt at step " in said
    run_planned(plan)
    run_planned(plan_resumption(whole, ["trainer.max_steps=30"]))
    assert read_json(hurt / "result.json") == read_json(whole / "result.json")
