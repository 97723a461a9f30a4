"""Regression and the autoencoder against closed forms: least squares, principal components, Bayes errors."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from gaplab import register
from gaplab.builders import build_data_and_task
from gaplab.config.compose import compose_config
from gaplab.config.network import NetworkConfig
from gaplab.config.registry import CHOICES, PROJECT_ROOT
from gaplab.data.regression import friedman_mean, sample_noisy, sine_mean
from gaplab.errors import ConfigError
from gaplab.losses.regression import absolute_loss, bayes_loss, huber_loss, regression_loss, squared_loss
from gaplab.report import main as report
from gaplab.train import run_one
from quick_runs import DRAWN, QUICK, set_once
from running import points as logged

EXACT = (
    "network=linear",
    "optimizer=lbfgs",
    "optimizer.lr=1",
    "data.batch_size=null",
    "trainer.precision=64-true",
    "logging.pictures=false",
)


def words(root: Path, *more: str) -> list[str]:
    quick = [word for word in QUICK if not (word.startswith("network.") and "network=linear" in more)]
    return set_once(*quick, f"run.root={root}", *more)


@pytest.mark.parametrize("name", ["squared", "absolute", "huber"])
def test_the_bayes_error_is_the_mean_loss_of_the_noise(name: str) -> None:
    """Against the mean over a fine grid of quantiles, two targets, and noise on both sides of delta."""
    levels = (torch.arange(2_000_000, dtype=torch.float64) + 0.5) / 2_000_000
    for noise, delta in ((0.3, 1.0), (2.0, 0.7)):
        draws = noise * math.sqrt(2) * torch.erfinv(2 * levels - 1)
        mean = regression_loss(name, delta)(draws[:, None], torch.zeros(len(draws), 1).double()).mean()
        assert bayes_loss(name, noise, 2, delta) == pytest.approx(2 * float(mean), rel=1e-4)
    assert bayes_loss(name, 0.0) == 0


def test_losses_of_real_targets_are_those_of_a_loop() -> None:
    outputs, targets = torch.tensor([[0.0, 3.0], [1.0, 1.0]]), torch.tensor([[0.5, 0.0], [1.0, -1.0]])
    assert squared_loss(outputs, targets).tolist() == [9.25, 4.0]
    assert absolute_loss(outputs, targets).tolist() == [3.5, 2.0]
    assert huber_loss(outputs, targets, delta=1.0).tolist() == [0.125 + 2.5, 1.5]


def test_laws_are_what_they_say() -> None:
    draws = torch.Generator().manual_seed(0)
    points, targets = sample_noisy(
        20_000, lambda x: sine_mean(x, 2.0, 1), 1, (-1.0, 1.0), noise=0.3, generator=draws
    )
    assert points.shape == (20_000, 1)
    residuals = targets - (2 * math.pi * points[:, 0]).sin()
    assert float(residuals.std()) == pytest.approx(0.3, rel=0.02)
    assert points.abs().max() <= 1
    x = torch.tensor([[0.25, -0.5]])
    expected = [
        sum(math.sin(math.pi * (1.5 * value + t / 3)) for value in (0.25, -0.5)) / math.sqrt(2)
        for t in range(3)
    ]
    assert sine_mean(x, 1.5, 3)[0].tolist() == pytest.approx(expected, abs=1e-6)
    x = torch.tensor([[0.5, 0.5, 1.0, 0.2, 0.4, 0.9]])
    assert float(friedman_mean(x)) == pytest.approx(10 * math.sin(math.pi / 4) + 5 + 2 + 2, rel=1e-6)


def test_a_linear_network_finds_the_least_squares_solution(tmp_path: Path) -> None:
    composed = compose_config(words(tmp_path, "task=regression", "data=friedman", *EXACT))
    result = run_one(composed, tmp_path / "run")
    data, _ = build_data_and_task(composed.config)
    design, targets = {}, {}
    for name, split in data.splits.items():
        ones = torch.ones(len(split), 1, dtype=torch.float64)
        design[name], targets[name] = torch.cat([split.points.double(), ones], dim=1), split.labels.double()
    solution = torch.linalg.lstsq(design["train"], targets["train"]).solution
    for name in ("train", "val", "test"):
        squares = (design[name] @ solution - targets[name]).square()
        total = (targets[name] - targets[name].mean()).square()
        assert result.last[f"loss/{name}"] == pytest.approx(float(squares.mean()), rel=1e-6)
        assert result.last[f"r2/{name}"] == pytest.approx(1 - float(squares.sum() / total.sum()), rel=1e-5)
    assert result.last["gap/r2"] == pytest.approx(result.last["r2/train"] - result.last["r2/test"])
    assert result.last["bayes/loss"] == 1.0


def test_a_linear_autoencoder_finds_the_principal_component(tmp_path: Path) -> None:
    composed = compose_config(words(tmp_path, "task=autoencoder", *EXACT, "trainer.max_steps=48"))
    result = run_one(composed, tmp_path / "run")
    data, _ = build_data_and_task(composed.config)
    train = data.splits["train"].points.double()
    smallest = torch.linalg.eigvalsh((train - train.mean(0)).T.cov(correction=0))[0]
    assert result.last["loss/train"] == pytest.approx(float(smallest), rel=1e-6)
    assert {"gap/loss", "gap/loss_error"} <= result.last.keys()


@pytest.mark.parametrize(
    ("more", "pictures"),
    [
        (["task=regression", "data=sine"], {"fit", "predictions", "residuals"}),
        (
            ["task=regression", "data=sine", "data.dimension=2", "data.num_targets=3"],
            {"predictions", "residuals"},
        ),
        (["task=autoencoder", "task.noise=0.2"], {"reconstructions_train", "reconstructions_test"}),
        (
            ["task=autoencoder", "data=sine", "network.dropout=0.1"],
            {"reconstructions_train", "reconstructions_test"},
        ),
    ],
    ids=["curve", "targets", "points", "line"],
)
def test_runs_are_drawn_charted_and_reported(
    more: list[str], pictures: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run_one(compose_config(words(tmp_path, *more, *DRAWN, "trainer.max_steps=8")), run)
    printed = capsys.readouterr().out
    assert "perfect sampler" not in printed
    assert ("Bayes error" in printed) == ("task=regression" in more)
    assert {path.stem for path in (run / "figures").glob("*.png")} == pictures
    tags = {tag for tag, _ in logged(run)}
    assert {"train/loss", "test/loss", "./gap/loss", "./gap/loss_lower", "./loss/train_batch"} <= tags
    assert ("test/r2" in tags) == ("task=regression" in more)
    report([str(run)])
    page = (run / "report.md").read_text()
    assert "on unseen points" in page
    assert ("| r2 |" in page.replace("  ", " ")) == ("task=regression" in more)
    last = json.loads((run / "result.json").read_text())
    assert last["objective"] == last["best"]["loss/val"]


@dataclass(kw_only=True, slots=True)
class OfThreeConfig(NetworkConfig):
    """Takes vectors of three numbers, whatever the data have."""

    def build(self, out_features: int) -> nn.Module:  # type: ignore[override]
        return nn.Linear(3, out_features)


def test_a_network_that_cannot_rebuild_the_points_is_refused() -> None:
    register("network", "of_three", OfThreeConfig)
    try:
        with pytest.raises(
            ConfigError, match=r"expected Autoencoder to take points of the shape \(2,\), but"
        ):
            build_data_and_task(compose_config(["task=autoencoder", "network=of_three"]).config)
    finally:
        CHOICES["network"].pop("of_three")


def test_a_task_and_points_that_do_not_fit_are_refused() -> None:
    for line, answer in (
        (["task=regression"], "these points have 3 classes.*task=classification"),
        (["data=sine"], "real targets. Use task=regression"),
    ):
        with pytest.raises(ConfigError, match=answer):
            build_data_and_task(compose_config(line).config)
    for line, answer in (
        (["data=sine", "data.label_noise=0.1"], "data.label_noise: expected 0: real targets"),
        (["data=friedman", "data.dimension=4"], "data.dimension: expected .* at least 5"),
        (["task=regression", "data=sine", "data.num_test_points=1"], "R² compares"),
        (["task=autoencoder", "task.bottleneck=0"], "task.bottleneck"),
        (["task=regression", "data=sine", "task.huber_delta=0"], "task.huber_delta"),
    ):
        with pytest.raises(ConfigError, match=answer):
            compose_config(line)


def test_the_commands_of_the_page_on_tasks_compose() -> None:
    page = (PROJECT_ROOT / "docs" / "tasks.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("python train.py ")]
    kinds = [type(compose_config(line.split()[2:]).config.task).__name__ for line in lines]
    assert kinds == ["RegressionConfig", "RegressionConfig", "AutoencoderConfig"]
