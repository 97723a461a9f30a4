"""A run that starts from another run's weights: at step 0, with a copy of them beside it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError, Preempted
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.resume import plan_new
from gaplab.train import run_one, run_planned
from quick_runs import QUICK, Compose

STILL = ("optimizer=sgd", "optimizer.lr=1e-12")


@pytest.mark.parametrize("which", ["best", "last", "file"])
def test_training_starts_anew_from_the_weights_of_a_run(
    which: str, tmp_path: Path, quick: Compose, finished_run: Path, stop_at: Any
) -> None:
    parent = tmp_path / "parent"
    shutil.copytree(finished_run, parent)
    name = "last" if which == "file" else which
    wanted = read_weights(parent / "checkpoints" / f"{name}.ckpt").weights
    source = parent / "checkpoints" / "last.ckpt" if which == "file" else parent
    choice = [] if which == "file" else [f"init_from_weights={which}"]
    composed = quick(*STILL, "measures=capacity", "init_seed=5", f"init_from={source}", *choice)
    stop_at(8)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "child")
    stop_at(None)
    shutil.rmtree(parent)  # the run has what it needs
    run_planned(plan_new(composed, tmp_path / "child"))
    found = read_weights(tmp_path / "child" / "checkpoints" / "last.ckpt")
    assert found.step == 24
    assert all(torch.allclose(found.weights[key], wanted[key], atol=1e-6) for key in wanted)
    measures = json.loads((tmp_path / "child" / "result.json").read_text())["measures"]
    assert measures["capacity/fro_dist"] < 1e-6
    assert yaml.safe_load((tmp_path / "child" / "config.yaml").read_text())["init_from"] == str(source)


def test_what_cannot_be_started_from_is_refused_before_anything_is_written(
    tmp_path: Path, quick: Compose, finished_run: Path
) -> None:
    words = [word for word in QUICK if not word.startswith("network")]
    wider = compose_config([*words, "network.widths=[9]", f"init_from={finished_run}"])
    with pytest.raises(ConfigError, match=r"has shape \[8, 2\] instead of \[9, 2\]"):
        run_one(wider, tmp_path / "run")
    with pytest.raises(ConfigError, match="init_from: expected a run directory .* there is no"):
        run_one(quick(*STILL, f"init_from={tmp_path / 'nowhere'}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
