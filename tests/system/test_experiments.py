"""The shipped experiments meet the numbers that they reproduce."""

from pathlib import Path

import pytest

from gaplab.config.compose import CONFIG_DIR, compose_config
from gaplab.runs.results import Result
from gaplab.train import run_one

QUIET = ["trainer.progress_bar=false", "trainer.accelerator=cpu"]


def run_experiment(name: str, path: Path) -> Result:
    return run_one(compose_config([f"experiment={name}", *QUIET]), path / name)


def check_published(result: Result, numbers: dict[str, float]) -> None:
    """Every published number is in the list, was measured, and is met."""
    assert {c.published.name: c.published.value for c in result.comparisons} == numbers
    for comparison in result.comparisons:
        assert comparison.met, (comparison.published, comparison.measured)


def test_notebook_linear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_experiment("notebook_linear", tmp_path)
    check_published(result, {"loss/train": 0.861541, "accuracy/train": 0.504})
    assert result.last["loss/train"] == pytest.approx(0.861541, abs=1e-4)
    assert result.last["accuracy/train"] == pytest.approx(0.504, abs=2e-3)
    printed = " ".join(capsys.readouterr().out.split())
    assert "Published loss/train: 0.861541 ± 0.0001" in printed
    assert printed.count(": met") == 2


@pytest.mark.thorough
def test_notebook_relu(tmp_path: Path) -> None:
    result = run_experiment("notebook_relu", tmp_path)
    check_published(result, {"loss/train": 0.178407, "accuracy/train": 0.949})
    assert result.last["loss/train"] == pytest.approx(0.178407, abs=1e-4)
    assert result.last["accuracy/train"] == pytest.approx(0.949, abs=2e-3)


def test_cs231n_softmax(tmp_path: Path) -> None:
    result = run_experiment("cs231n_softmax", tmp_path)
    check_published(result, {"loss/train_penalized": 0.786302, "accuracy/train": 0.49})
    assert result.history[190]["loss/train_penalized"] == pytest.approx(0.786302, abs=1e-6)
    assert round(result.last["accuracy/train"], 2) == 0.49


@pytest.mark.thorough
def test_cs231n_mlp(tmp_path: Path) -> None:
    result = run_experiment("cs231n_mlp", tmp_path)
    check_published(result, {"loss/train_penalized": 0.245292, "accuracy/train": 0.98})
    assert result.last["accuracy/train"] == pytest.approx(0.98, abs=0.005)


def test_two_spirals(tmp_path: Path) -> None:
    result = run_experiment("two_spirals", tmp_path)
    check_published(result, {"accuracy/train": 1.0, "epochs": 1_699})
    assert result.num_train_points == 194
    assert result.last["accuracy/train"] == 1.0
    assert result.epochs < 1_700


def test_every_experiment_asks_a_question_or_says_what_it_repeats() -> None:
    for file in sorted((CONFIG_DIR / "experiment").rglob("*.yaml")):
        first, second = file.read_text().splitlines()[:2]
        assert first == "# @package _global_", file
        assert len(second) > 20, file
        assert second.startswith("# "), file
