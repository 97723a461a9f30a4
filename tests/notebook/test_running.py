"""Runs from Python: the numbers of the command line, and a process that is as it was."""

import logging
import os
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from gaplab import load_run, run, runs
from gaplab.config.hydra_versions import DEFAULTS
from gaplab.errors import ConfigError
from quick_runs import QUICK

WORDS = [*QUICK, "logging.subruns=never", "run.name=here"]


def settings() -> list[Any]:
    generators = torch.rand(()).item(), np.random.rand(), random.random()
    determinism = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    threads, level = torch.get_num_threads(), logging.getLogger("lightning.pytorch").level
    return [generators, determinism, threads, level, list(warnings.filters), dict(os.environ), list(sys.argv)]


def seeded_settings() -> list[Any]:
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(3)
    return settings()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in their noise, and what they changed in the process."""
    root = tmp_path_factory.mktemp("python")
    before = seeded_settings()
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(3)
    run([*WORDS, f"run.root={root}", "run.id=low", "data.noise=0.2", "trainer.num_threads=1"])
    assert settings() == before
    run([*WORDS, f"run.root={root}", "run.id=high", "data.noise=0.4", "trainer.num_threads=1"])
    return root


def test_a_run_has_scores_and_history(folder: Path) -> None:
    again = run([f"resume={folder / 'here' / 'low'}"])
    assert again.path == folder / "here" / "low"
    assert again.scores["gap/loss"] == pytest.approx(again.history[24]["gap/loss"], rel=1e-5)
    assert again.result["step"] == 24
    assert not again.load().task.training


def test_rows_hold_what_varies_and_the_scores(folder: Path) -> None:
    rows = runs(folder)
    assert {row["data.noise"] for row in rows} == {0.2, 0.4}
    assert all(row["status"] == "finished" and "loss/test" in row for row in rows)
    assert "optimizer.lr" not in rows[0], "it is the same in both"
    curves = runs(folder, curves=True)
    assert {row["step"] for row in curves if row["data.noise"] == 0.2} >= {8, 16, 24}
    with pytest.raises(ConfigError, match="expected a folder that holds runs"):
        runs(folder / "nowhere")


def test_a_hydra_session_of_the_users_own_goes_on(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("answer: 42\n")
    with initialize_config_dir(str(tmp_path), **DEFAULTS):
        load_run(folder / "here" / "low")
        assert compose("config").answer == 42
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.ddp
@pytest.mark.thorough
def test_devices_are_processes(folder: Path, tmp_path: Path) -> None:
    words = [*WORDS, "data.noise=0.2", "trainer.precision=64-true", f"run.root={tmp_path}"]
    one, two = run([*words, "run.id=one"]), run([*words, "run.id=two"], devices=2)
    assert two.scores == pytest.approx(one.scores, abs=1e-8)
    assert {row["trainer.devices"] for row in runs(tmp_path)} == {"auto", 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("seed=1", r'expected a list of words, such as \["seed=1"\]'),
        (["-m"], "expected overrides only, but got -m"),
    ],
)
def test_what_is_no_list_of_overrides_is_refused(words: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(words)
