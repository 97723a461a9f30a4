"""Runs trained as stacked models against the same runs trained one by one."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaplab.builders.load_run import load_run
from gaplab.config.compose import Composed, compose_config
from gaplab.evaluate import evaluate
from gaplab.runs.resume import plan_new, plan_resumption
from gaplab.stacked.compile import has_compiler
from gaplab.sweeps.train_work import run_many
from gaplab.train import run_one, run_planned
from same_runs import assert_close, assert_neighbours_do_not_matter, assert_same_run

QUICK = (
    "data.num_points=60",
    "data.num_val_points=40",
    "data.num_test_points=80",
    "data.batch_size=16",
    "network.widths=[8]",
    "trainer.max_steps=24",
    "trainer.eval_every_n_steps=8",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "trainer.precision=64-true",
    "logging.pictures=false",
    "logging.subruns=never",
    "logging.diagnostics=none",
)
MIXED = (
    ("seed=1",),
    ("seed=2", "optimizer.lr=0.05", "optimizer.schedule=cosine", "optimizer.warmup_steps=5"),
    ("seed=3", "data.num_points=37", "data.label_noise=0.3"),
    ("seed=1", "optimizer.weight_decay=0.1", "optimizer.weight_decay_on_bias=false", "data.noise=0.1"),
    ("data_seed=4", "optimizer.beta1=0.5", "optimizer.beta2=0.9", "network.gain=2"),
)


def compose(*overrides: str) -> Composed:
    keys = {word.split("=")[0] for word in overrides}
    return compose_config([*(word for word in QUICK if word.split("=")[0] not in keys), *overrides])


def train_both(
    folder: Path, jobs: Sequence[Sequence[str]], compared: Sequence[int], **options: Any
) -> list[float]:
    """Train the jobs together, and those numbered in ``compared`` alone; compare everything they leave."""
    composed = [compose(*job) for job in jobs]
    plans = [plan_new(one, folder / "together" / str(i)) for i, one in enumerate(composed)]
    objectives = run_many(plans, **options)
    for index in compared:
        alone = folder / "alone" / str(index)
        run_one(composed[index], alone)
        assert_same_run(folder / "together" / str(index), alone)
    return objectives


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_a_mixed_grid_of_adam_after_many_steps(
    tmp_path: Path, compiled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if compiled and not has_compiler(torch.device("cpu")):
        pytest.skip("needs a C++ compiler")
    jobs = [(*job, "trainer.max_steps=80", "trainer.eval_every_n_steps=20") for job in MIXED]
    train_both(tmp_path, jobs, range(len(jobs)), compile=compiled)
    assert "without the compiler" not in caplog.text


@pytest.mark.parametrize(
    "job",
    [
        ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.max_grad_norm=0.5"),
        ("optimizer=sgd", "optimizer.momentum=0.5", "optimizer.nesterov=true", "network.dropout=0.3"),
        ("optimizer=adamw", "network.dropout=0.5", "network.widths=[6,5]", "task.label_smoothing=0.2"),
        ("data.batch_size=null", "task.loss=hinge", "network.block=highway"),
        ("task.input_noise=0.1", "task.mixup=0.4", "network.dropout=0.2", "data.num_points=37"),
        ("optimizer.sharpness_radius=0.1", "optimizer.max_grad_norm=0.5", "network.norm=layer"),
        ("network.norm=batch", "optimizer.sharpness_radius=0.05"),
        ("trainer.ema_decay=0.9", "optimizer.weight_decay=0.01"),
        ("trainer.swa_start=0.5", "data.num_points=37"),
        ("task.num_members=3", "task.label_smoothing=0.1", "task.mixup=1"),
        ("network=perceptron", "task.loss=perceptron", "optimizer=sgd", "data.batch_size=1"),
    ],
)
def test_other_optimisers_objectives_and_networks(tmp_path: Path, job: tuple[str, ...]) -> None:
    if job[0] == "network=perceptron":
        global_quick = [word for word in QUICK if not word.startswith(("network", "data.batch"))]
        composed = [compose_config([*global_quick, *job, f"seed={seed}"]) for seed in (0, 1)]
        run_many([plan_new(one, tmp_path / "together" / str(i)) for i, one in enumerate(composed)])
        run_one(composed[1], tmp_path / "alone")
        assert_same_run(tmp_path / "together" / "1", tmp_path / "alone")
        return
    train_both(tmp_path, [("seed=1", *job), ("seed=2", *job, "optimizer.lr=0.03")], [1])


@pytest.mark.parametrize(("num_models", "max_models"), [(1, 64), (2, 1), (5, 2)])
def test_any_number_of_models(tmp_path: Path, num_models: int, max_models: int) -> None:
    jobs = [(f"seed={seed}",) for seed in range(num_models)]
    objectives = train_both(tmp_path, jobs, [num_models - 1], max_models=max_models)
    assert len(set(objectives)) == num_models


def test_neighbours_and_chunks_do_not_matter(tmp_path: Path) -> None:
    assert_neighbours_do_not_matter([compose(*job) for job in MIXED], tmp_path)


def test_a_stopped_model_keeps_its_weights(tmp_path: Path) -> None:
    stops = ("trainer.max_steps=80", "trainer.stop_at_train_accuracy=0.8", "optimizer.lr=0.05")
    patient = ("trainer.max_steps=80", "trainer.early_stopping_patience=1", "optimizer.lr=1")
    jobs = [(f"seed={seed}", *job) for seed in (1, 2) for job in (stops, patient, ("trainer.max_steps=80",))]
    train_both(tmp_path, jobs, range(6))
    steps = [
        json.loads((tmp_path / "together" / str(i) / "result.json").read_text())["step"] for i in range(6)
    ]
    assert len(set(steps)) >= 3


def test_a_diverged_model_leaves_the_others_alone(tmp_path: Path) -> None:
    wild = ("seed=1", "optimizer=sgd", "optimizer.lr=1e30", "task.loss=squared_error")
    tame = ("seed=2", "optimizer=sgd", "optimizer.lr=1e-3", "task.loss=squared_error")
    objectives = train_both(tmp_path, [wild, tame], [1])
    assert math.isnan(objectives[0])
    record = json.loads((tmp_path / "together" / "0" / "run.json").read_text())
    assert record["status"] == "diverged"
    assert record["diverged_at_step"] > 0
    again = plan_new(compose(*wild), tmp_path / "together" / "0")
    assert not again.finished
    assert again.checkpoint is None


def test_averages_go_on_where_they_were(tmp_path: Path) -> None:
    jobs = [("seed=1", "trainer.ema_decay=0.9"), ("seed=2", "trainer.ema_decay=0.5")]
    plans = [plan_new(compose(*job), tmp_path / "whole" / str(i)) for i, job in enumerate(jobs)]
    run_many(plans)
    short = [
        plan_new(compose(*job, "trainer.max_steps=16"), tmp_path / "parts" / str(i))
        for i, job in enumerate(jobs)
    ]
    run_many(short)
    run_many([plan_resumption(tmp_path / "parts" / str(i), ["trainer.max_steps=24"]) for i in range(2)])
    for i in range(2):
        ours, theirs = (
            torch.load(tmp_path / kind / str(i) / "checkpoints/last.ckpt", weights_only=True)
            for kind in ("parts", "whole")
        )
        for key in ("state_dict", "current_model_state", "averaging_state", "optimizer_states"):
            assert_close(ours[key], theirs[key])


def test_a_run_of_a_sweep_is_loaded_evaluated_and_prolonged(tmp_path: Path) -> None:
    plans = [plan_new(compose(f"seed={seed}"), tmp_path / str(seed)) for seed in range(3)]
    run_many(plans)
    path = tmp_path / "1"
    result = json.loads((path / "result.json").read_text())
    assert evaluate(path, "last")["loss/test"] == pytest.approx(result["last"]["loss/test"], abs=1e-6)
    loaded = load_run(path)
    assert loaded.config.seed == 1
    assert plan_new(compose("seed=1"), path).finished
    run_planned(plan_resumption(path, ["trainer.max_steps=40"]))
    run_one(compose("seed=1", "trainer.max_steps=40"), tmp_path / "whole")
    assert_same_weights(path, tmp_path / "whole")


def assert_same_weights(left: Path, right: Path) -> None:
    states = [
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for path in (left, right)
    ]
    assert_close(states[0], states[1])


def test_a_killed_sweep_continues_from_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gaplab.stacked.stacked_runs import StackedRuns

    jobs = [("seed=1", "trainer.checkpoint_every_n_seconds=1e-9"), ("seed=2", "optimizer.lr=0.1")]
    composed = [compose(*job) for job in jobs]
    plans = [plan_new(one, tmp_path / "cut" / str(i)) for i, one in enumerate(composed)]
    settle = StackedRuns.finalize_finished

    def interrupt(chunk: StackedRuns, trainer: Any) -> None:
        if trainer.global_step == 16:
            raise KeyboardInterrupt
        settle(chunk, trainer)

    with monkeypatch.context() as patch:
        patch.setattr(StackedRuns, "finalize_finished", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_many(plans)
    record = json.loads((tmp_path / "cut" / "1" / "run.json").read_text())
    assert record["status"] == "preempted"
    again = [plan_new(one, tmp_path / "cut" / str(i)) for i, one in enumerate(composed)]
    assert [plan.checkpoint is not None for plan in again] == [True, True]
    run_many(again)
    for index, one in enumerate(composed):
        run_one(one, tmp_path / "alone" / str(index))
        assert_same_run(tmp_path / "cut" / str(index), tmp_path / "alone" / str(index))


def test_what_cannot_be_stacked_runs_alone_and_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    jobs = [("seed=1",), ("seed=1", "optimizer=lbfgs", "data.batch_size=null", "trainer.max_steps=3")]
    plans = [plan_new(compose(*job), tmp_path / str(i)) for i, job in enumerate(jobs)]
    objectives = run_many(plans, log=said.append)
    assert all(math.isfinite(value) for value in objectives)
    assert len(said) == 2
    assert said[0].startswith("Group 1 of 1: 1 models in chunks of 1, about ")
    assert "Training 1 of 2 runs one by one: L-BFGS" in said[1]


def test_too_little_memory_for_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gaplab.errors import ConfigError

    monkeypatch.setattr("gaplab.sweeps.schedule.free_memory", lambda device: 1_000)
    with pytest.raises(ConfigError, match="one model needs"):
        run_many([plan_new(compose("seed=1"), tmp_path / "run")])


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_overrides(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("random")
    dropout = data.draw(st.sampled_from(["0", "0.4"]))
    jobs = [
        (
            f"seed={data.draw(st.integers(0, 2**40))}",
            f"network.dropout={dropout}",
            f"optimizer.lr={data.draw(st.floats(1e-4, 0.1))}",
            f"optimizer.weight_decay={data.draw(st.floats(0, 0.1))}",
            f"data.num_points={data.draw(st.integers(16, 90))}",
            f"data.label_noise={data.draw(st.floats(0, 1))}",
            f"data.noise={data.draw(st.floats(0, 1))}",
        )
        for _ in range(3)
    ]
    train_both(folder, jobs, [data.draw(st.integers(0, 2))])
