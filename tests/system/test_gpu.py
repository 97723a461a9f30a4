"""What has to hold on a GPU; on a CPU the same tests keep themselves alive. And the benchmark that measures it."""

from pathlib import Path

import pytest
import torch
from benchmarks import gpu

from gaplab.config.compose import compose_config
from gaplab.errors import Preempted
from gaplab.runs.resume import plan_new
from gaplab.sweeps.train_work import run_many
from gaplab.tensorboard.read_curves import read_history
from gaplab.train import run_one, run_planned
from quick_runs import QUICK, set_once

ON_GPU = pytest.param(
    "gpu", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
)
DEVICES = pytest.mark.parametrize("device", ["cpu", ON_GPU])


def words(device: str, *more: str) -> list[str]:
    return set_once(
        *QUICK, "logging.pictures=false", f"trainer.accelerator={device}", "trainer.devices=1", *more
    )


@DEVICES
def test_a_stopped_run_has_the_digits_of_one_that_was_not(tmp_path: Path, device: str, stop_at) -> None:  # type: ignore[no-untyped-def]
    whole = run_one(compose_config(words(device, "network.dropout=0.2")), tmp_path / "whole")
    stop_at(10)
    with pytest.raises(Preempted):
        run_planned(plan_new(compose_config(words(device, "network.dropout=0.2")), tmp_path / "stopped"))
    stop_at(None)
    run_planned(plan_new(compose_config(words(device, "network.dropout=0.2")), tmp_path / "stopped"))
    assert read_history(tmp_path / "stopped") == read_history(tmp_path / "whole")
    assert whole.step == 24


@DEVICES
def test_stacked_runs_are_those_of_runs_alone(tmp_path: Path, device: str) -> None:
    runs = [compose_config(words(device, f"seed={seed}", "trainer.precision=64-true")) for seed in (0, 1, 2)]
    together = run_many([plan_new(run, tmp_path / "together" / str(n)) for n, run in enumerate(runs)])
    alone = [run_one(run, tmp_path / "alone" / str(n)).objective for n, run in enumerate(runs)]
    assert together == pytest.approx(alone, rel=0, abs=1e-8)


@DEVICES
def test_half_precision_learns_nearly_what_single_precision_learns(tmp_path: Path, device: str) -> None:
    found = {}
    for precision in ("32-true", "bf16-mixed", *(["16-mixed"] if device == "gpu" else [])):
        own = words(device, f"trainer.precision={precision}", "optimizer.lr=0.05")
        found[precision] = run_one(compose_config(own), tmp_path / precision).last["loss/train"]
    assert all(value == pytest.approx(found["32-true"], rel=0.05) for value in found.values())
    assert found["bf16-mixed"] != found["32-true"]


def test_the_benchmark_measures_runs_and_the_core_loop(capfd: pytest.CaptureFixture[str]) -> None:
    gpu.single_runs("cpu", 20, ["data.num_test_points=100"])
    gpu.core_loop("cpu", (4,), 2, compile=False)
    said = capfd.readouterr().out
    for line in ("| bf16-mixed | 1 |", "| 4 | ", "JAX"):
        assert line in said


@pytest.mark.thorough
def test_the_benchmark_goes_through_all_its_steps(capfd: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--device", "cpu", "--small", "--no-compile"]) == 0
    said = capfd.readouterr().out
    for line in ("| bf16-mixed | 1 |", "| 8 | ", "| 4 | ", "JAX"):
        assert line in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_benchmark_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 2
    assert "There is no GPU here" in capsys.readouterr().err
