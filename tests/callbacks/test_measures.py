"""Bounds and capacity measures at the end of an ordinary run."""

import json
import math
from pathlib import Path

import pytest

from conftest import Compose
from gaplab.config.data import LabelNoise, NotebookSpiralsConfig, Sampling, SpiralsConfig
from gaplab.config.measures import points_are_independent
from gaplab.metrics.capacity.catalogue import MEASURES
from gaplab.train import run_one
from running import points


def content_of(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((path / "result.json").read_text())
    return content


def test_default_run_prints_and_keeps_the_free_bounds(
    quick: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_one(quick(), tmp_path / "run")
    content = content_of(tmp_path / "run")
    assert content["measures"] == pytest.approx(
        {
            "bound/hoeffding_test": math.sqrt(math.log(2 / 0.05) / (2 * 80)),
            "bound/finite_precision": math.sqrt((51 * 32 * math.log(2) + math.log(20)) / (2 * 60)),
        }
    )
    bounds = {bound["name"]: bound for bound in content["bounds"]}
    assert bounds["finite_precision"]["vacuous"]
    assert not bounds["hoeffding_test"]["vacuous"]
    assert all(bound["rigorous"] and bound["delta"] == 0.05 for bound in bounds.values())
    printed = " ".join(capsys.readouterr().out.split())
    assert "Bound finite_precision: error - training error <= 3.0" in printed
    assert "(vacuous)" in printed
    logged = {(tag, step) for tag, step in points(tmp_path / "run") if "bound/" in tag}
    tags = ("./bound/hoeffding_test", "./bound/finite_precision")
    assert logged == {(tag, step) for tag in tags for step in (8, 16, 24)}, "lines beside the gap"


def test_full_measures_add_pac_bayes_and_every_capacity_measure(quick: Compose, tmp_path: Path) -> None:
    run_one(quick("measures=full"), tmp_path / "run")
    measures = content_of(tmp_path / "run")["measures"]
    assert {name for name in measures if name.startswith("bound/")} == {
        "bound/hoeffding_test",
        "bound/finite_precision",
        "bound/pac_bayes",
    }
    assert {name for name in measures if name.startswith("capacity/")} == {
        f"capacity/{name}" for name in MEASURES
    }
    assert measures["capacity/params"] == pytest.approx(math.sqrt(40 / 60), rel=1e-4)
    assert 0 < measures["bound/pac_bayes"] <= 1


@pytest.mark.parametrize("word", ["measures=none", "data.sampling=grid", "data.label_noise=0.1"])
def test_no_bound_where_none_is_wanted_or_none_is_valid(quick: Compose, tmp_path: Path, word: str) -> None:
    run_one(quick(word), tmp_path / "run")
    assert content_of(tmp_path / "run")["bounds"] == []


def test_which_point_sets_are_independent_draws() -> None:
    assert points_are_independent(SpiralsConfig())
    assert points_are_independent(SpiralsConfig(label_noise=0.1, label_noise_in=LabelNoise.all_splits))
    assert not points_are_independent(SpiralsConfig(label_noise=0.1))
    assert not points_are_independent(SpiralsConfig(sampling=Sampling.grid))
    assert not points_are_independent(NotebookSpiralsConfig())
