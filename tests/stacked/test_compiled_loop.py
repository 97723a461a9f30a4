"""A run whose steps are taken in compiled code against the same run in eager steps."""

import logging
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

import gaplab.stacked.compiled_loop as compiled_loop
from gaplab.builders import build_data_and_task, build_trainer
from gaplab.config.compose import compose_config
from gaplab.errors import Preempted
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.resume import plan_resumption
from gaplab.stacked.compile import CompiledFunction, has_compiler
from gaplab.train import run_one, run_planned
from quick_runs import Compose

CASES = {
    "adam": (),
    "adamw": ("optimizer=adamw", "optimizer.weight_decay_on_bias=false", "network.widths=[8,8]"),
    "momentum": ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true"),
    "plain": ("optimizer=sgd", "task.label_smoothing=0.1"),
    "scheduled": (
        *("optimizer.schedule=cosine", "optimizer.warmup_steps=3", "optimizer.max_grad_norm=0.1"),
        *("network.dropout=0.5", "trainer.block_steps=5"),
    ),
    "full batch": ("data.batch_size=null", "task.loss=squared_error"),
}


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what would be compiled eagerly: the same function without the wait."""
    monkeypatch.setattr(
        compiled_loop, "CompiledFunction", lambda function, compile: CompiledFunction(function, compile=False)
    )
    monkeypatch.setattr(compiled_loop, "has_compiler", lambda device: True)


def assert_close(one: Path, other: Path) -> None:
    first, second = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (one, other))
    assert first["global_step"] == second["global_step"]
    for (state,) in (first["optimizer_states"], second["optimizer_states"]):
        if "momentum" in state["param_groups"][0] and state["param_groups"][0]["momentum"] == 0:
            state["state"] = {}  # torch keeps None there
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(second[part], first[part], rtol=0, atol=1e-8)
    tables = [checkpoint["callbacks"]["Recorder"]["history"] for checkpoint in (first, second)]
    assert tables[0].keys() == tables[1].keys()
    for step, table in tables[0].items():
        assert tables[1][step] == pytest.approx(table, abs=1e-8), step


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("case", CASES)
def test_several_steps_in_a_call_are_those_of_torch(case: str, quick: Compose, tmp_path: Path) -> None:
    for compile in (False, True):
        words = ("trainer.precision=64-true", f"trainer.compile={compile}")
        run_one(quick(*words, *CASES[case]), tmp_path / str(compile))
    assert_close(tmp_path / "False", tmp_path / "True")


@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="needs a C++ compiler")
def test_compiled_steps_are_those_of_torch(
    quick: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for compile in (False, True):
        run_one(quick("trainer.precision=64-true", f"trainer.compile={compile}"), tmp_path / str(compile))
    assert_close(tmp_path / "False", tmp_path / "True")
    assert not [record for record in caplog.records if record.name.startswith("gaplab")]


@pytest.mark.usefixtures("uncompiled")
def test_a_stopped_run_continues_bit_for_bit(quick: Compose, tmp_path: Path, stop_at: object) -> None:
    assert callable(stop_at)
    words = ("trainer.compile=true", "trainer.block_steps=6", "optimizer.schedule=linear")
    run_one(quick(*words), tmp_path / "whole")
    stop_at(12)
    with pytest.raises(Preempted):
        run_one(quick(*words), tmp_path / "parts")
    stop_at(None)
    run_planned(plan_resumption(tmp_path / "parts", []))
    first, second = (
        read_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt")["state_dict"]
        for run in ("whole", "parts")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


class Halving(Callback):
    """Changes a setting of the optimiser between two blocks."""

    def __init__(self, setting: str) -> None:
        self.setting = setting

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for group in trainer.optimizers[0].param_groups:
            group[self.setting] = 0.5 * group[self.setting] + 0.01


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("setting", ["lr", "weight_decay"])
def test_a_setting_that_a_callback_changes_is_in_force(setting: str, quick: Compose) -> None:
    trained = []
    for compile in (False, True):
        config = quick("trainer.precision=64-true", f"trainer.compile={compile}").config
        data, task = build_data_and_task(config)
        task.double()
        build_trainer(config, [Halving(setting)], []).fit(task, datamodule=data)
        trained.append(task.state_dict())
    torch.testing.assert_close(*trained, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ("data.batch_size=null", "optimizer=lbfgs"),
            "the optimizer LBFGSConfig has no compiled update rule",
        ),
        (("trainer.gradient_clip_val=1.0",), "optimizer.max_grad_norm can be compiled"),
        (("trainer.precision=bf16-mixed",), "trainer.precision=bf16-mixed rounds inside a step"),
        (("trainer.extra.overfit_batches=2",), "trainer.extra limits the batches of an epoch"),
    ],
)
def test_what_cannot_be_compiled_says_so_and_runs(
    words: tuple[str, ...], reason: str, quick: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="gaplab"):
        run_one(quick(*words, "trainer.compile=true"), tmp_path / "run")
    (record,) = (record for record in caplog.records if record.name == "gaplab.stacked.compiled_loop")
    assert record.getMessage().startswith("trainer.compile=true: the steps are taken without the compiler")
    assert reason in record.getMessage()


@pytest.mark.parametrize(
    ("steps", "wanted", "compiles"),
    [
        (compiled_loop.PAYS_FROM - 1, "auto", False),
        (compiled_loop.PAYS_FROM, "auto", True),
        (compiled_loop.PAYS_FROM, "false", False),
        (1, "true", True),
    ],
)
def test_the_length_of_a_run_decides_where_nobody_does(
    steps: int, wanted: str, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_loop, "_obstacle", lambda *_: None)
    monkeypatch.setattr(compiled_loop, "CompiledBlocks", lambda *_: "compiled")
    config = compose_config([f"trainer.max_steps={steps}", f"trainer.compile={wanted}"]).config
    loop = compiled_loop.build_compiled_loop(config, None, None)  # type: ignore[arg-type]
    assert loop == ("compiled" if compiles else None)
