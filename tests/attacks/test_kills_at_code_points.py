"""A run that is killed where it puts a file in its place goes on to the same end, bit for bit."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gaplab.runs.checkpoints import read_weights
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_new
from gaplab.train import run_one, run_planned
from quick_runs import Compose
from running import points

WORDS = ("trainer.checkpoint_every_n_seconds=1e-9", "trainer.block_steps=4")


def killed_at(number: int, before: bool, train: Callable[[], object]) -> bool:
    """Train in a child that ends without a word at a renaming of a file; return whether it came so far."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forking beside threads, of which none is held
        child = os.fork()
    if child == 0:
        count, rename = 0, os.replace

        def counted(*arguments: Any, **settings: Any) -> None:
            nonlocal count
            count += 1
            if count == number and before:
                os._exit(9)
            rename(*arguments, **settings)
            if count == number:
                os._exit(9)

        os.replace = counted
        try:
            train()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Holds the directory of a run that nobody kills, once it is made."""
    return [tmp_path_factory.mktemp("undisturbed")]


FEW = [(2, True), (7, False), (12, True)]
ALL = [(number, before) for number in range(1, 31) for before in (True, False)]


@pytest.mark.parametrize(
    ("number", "before"),
    [*FEW, *(pytest.param(*point, marks=pytest.mark.thorough) for point in ALL if point not in FEW)],
)
def test_a_run_killed_at_a_renaming_ends_the_same(
    number: int, before: bool, undisturbed: list[Path], quick: Compose, tmp_path: Path
) -> None:
    reference = undisturbed[0] / "run"
    if not reference.exists():
        run_one(quick(*WORDS), reference)
    composed, path = quick(*WORDS), tmp_path / "run"
    if not killed_at(number, before, lambda: run_one(composed, path)):
        assert read_json(path / "run.json")["status"] == "finished"
        return
    if not (path / "run.json").is_file() or read_json(path / "run.json")["status"] != "finished":
        run_planned(plan_new(composed, path))
    assert read_json(path / "run.json")["status"] == "finished"
    assert read_json(path / "result.json") == read_json(reference / "result.json")
    for name in ("last.ckpt", "best.ckpt"):
        own, other = (read_weights(run / "checkpoints" / name) for run in (path, reference))
        assert own.step == other.step
        assert all(torch.equal(own.weights[key], other.weights[key]) for key in other.weights)
    assert points(path).keys() == points(reference).keys()
