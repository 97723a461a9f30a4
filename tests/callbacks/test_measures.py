"""Bounds and capacity measures at the end of an ordinary run."""

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gaplab.callbacks import measures
from gaplab.config import registry
from gaplab.config.compose import compose_config
from gaplab.config.data import LabelNoise
from gaplab.config.measures import points_are_independent
from gaplab.config.network import NetworkConfig
from gaplab.config.registry import register
from gaplab.config.spiral_data import NotebookSpiralsConfig, Sampling, SpiralsConfig
from gaplab.metrics.capacity.catalogue import MEASURES
from gaplab.metrics.capacity.learning_coefficient import complaint
from gaplab.metrics.certificates import data_prior_certificate, pac_bayes_certificate
from gaplab.report import main as report
from gaplab.train import run_one
from quick_runs import QUICK, Compose
from running import points


def content_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "result.json").read_text())
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


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what is measured, not of how well."""
    few = partial(pac_bayes_certificate, num_steps=20, num_draws=200)
    with_prior = partial(data_prior_certificate, num_prior_steps=20, num_steps=20, num_draws=200)
    monkeypatch.setattr(measures, "LANGEVIN_STEPS", 50)
    monkeypatch.setattr(measures, "pac_bayes_certificate", few)
    monkeypatch.setattr(measures, "data_prior_certificate", with_prior)


@pytest.mark.usefixtures("few_steps")
def test_full_measures_add_pac_bayes_and_every_capacity_measure(quick: Compose, tmp_path: Path) -> None:
    run_one(quick("measures=full"), tmp_path / "run")
    content = content_of(tmp_path / "run")
    found = content["measures"]
    why = complaint(*(found[f"capacity/local_learning_coefficient{end}"] for end in ("", "_r_hat")))
    assert content["remarks"] == (
        [f"The local learning coefficient is not to be trusted: {why}."] if why else []
    )
    assert {name for name in found if name.startswith("bound/")} == {
        "bound/hoeffding_test",
        "bound/finite_precision",
        "bound/pac_bayes",
        "bound/pac_bayes_data_prior",
    }
    assert {name for name in found if name.startswith("capacity/")} == {
        f"capacity/{name}" for name in MEASURES
    }
    assert found["capacity/params"] == pytest.approx(math.sqrt(40 / 60), rel=1e-4)
    assert 0 < found["bound/pac_bayes"] <= 1


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("with_scipy", [True, False])
def test_the_curvature_of_large_networks_needs_scipy(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_scipy: bool
) -> None:
    monkeypatch.setattr(measures, "LARGEST_HESSIAN", 50)
    monkeypatch.setattr(measures, "find_spec", lambda _: with_scipy or None)
    run_one(quick("measures=full"), tmp_path / "run")  # 51 parameters
    content = content_of(tmp_path / "run")
    curvature = {name for name, row in MEASURES.items() if row.family == "curvature"}
    found = {name for name in curvature if f"capacity/{name}" in content["measures"]}
    assert found == ({"hessian_trace", "hessian_top_eigenvalue"} if with_scipy else set())
    assert any("pip install" in remark for remark in content["remarks"]) == (not with_scipy)


@pytest.mark.parametrize("word", ["measures=none", "data.sampling=grid", "data.label_noise=0.1"])
def test_no_bound_where_none_is_wanted_or_none_is_valid(quick: Compose, tmp_path: Path, word: str) -> None:
    run_one(quick(word), tmp_path / "run")
    assert content_of(tmp_path / "run")["bounds"] == []


@dataclass(kw_only=True, slots=True)
class KeepingConfig(NetworkConfig):
    kind: str = "batch_norm"


class Memory(nn.Module):
    """Answers with the label of the nearest stored point, scaled: one parameter, and all training points."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("stored", torch.zeros(1, 2), persistent=False)

    def forward(self, points: Tensor) -> Tensor:
        if self.training:
            self.stored = torch.cat([self.stored, points.detach()])[-60:]
        nearest = torch.cdist(points, self.stored).amin(dim=1, keepdim=True)
        return self.scale * torch.cat([nearest, -nearest, nearest], dim=1)


def build_keeping(config: KeepingConfig, in_features: int, out_features: int, generator: Any) -> nn.Module:
    if config.kind == "memory":
        return Memory()
    normalised = nn.BatchNorm1d(4) if config.kind == "batch_norm" else nn.LayerNorm(4)
    return nn.Sequential(nn.Linear(in_features, 4), normalised, nn.Linear(4, out_features))


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("kind", ["batch_norm", "memory", "layer_norm"])
def test_no_bound_on_the_gap_of_a_network_that_keeps_more_than_its_parameters(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("network", "keeping", KeepingConfig, build_keeping)
    try:
        words = [word for word in QUICK if not word.startswith("network.")]
        words += ["network=keeping", f"network.kind={kind}", "measures=full"]
        run_one(compose_config([*words, f"run.root={tmp_path}", "trainer.max_steps=8"]), tmp_path / "run")
        printed = " ".join(capsys.readouterr().out.split())
        report([str(tmp_path / "run")])
    finally:
        registry._builders.pop(KeepingConfig)
        registry.CHOICES["network"].pop("keeping")
    content = content_of(tmp_path / "run")
    page = (tmp_path / "run" / "report.md").read_text()
    bounds = {tag for tag, _ in points(tmp_path / "run") if "bound/" in tag}
    if kind == "layer_norm":
        assert "./bound/pac_bayes" in bounds
        assert not any("bound" in remark for remark in content["remarks"])
        return
    assert bounds == {"./bound/hoeffding_test"}, "it is about test points, which no network has seen"
    assert [bound["name"] for bound in content["bounds"]] == ["hoeffding_test"]
    name = {"batch_norm": "1.running_mean", "memory": "stored"}[kind]
    for text in (content["remarks"][0], printed, page):
        assert f"No bound on the gap: beside its parameters the network keeps {name}" in text
    assert ("No capacity measures: Expected a network with weight matrices" in printed) == (kind == "memory")
    assert "at most" not in page.split("##")[0]


def test_which_point_sets_are_independent_draws() -> None:
    assert points_are_independent(SpiralsConfig())
    assert points_are_independent(SpiralsConfig(label_noise=0.1, label_noise_in=LabelNoise.all_splits))
    assert not points_are_independent(SpiralsConfig(label_noise=0.1))
    assert not points_are_independent(SpiralsConfig(sampling=Sampling.grid))
    assert not points_are_independent(NotebookSpiralsConfig())
