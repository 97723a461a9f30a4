"""A GAN whose steps are taken in compiled code against the same run in eager steps."""

import logging
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

import gaplab.stacked.compiled_game as compiled_game
import gaplab.stacked.compiled_loop as compiled_loop
import gaplab.stacked.gans as gans
from gaplab.builders import build_data_and_task, build_trainer
from gaplab.config.compose import Composed, compose_config
from gaplab.errors import Preempted
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.resume import plan_resumption
from gaplab.stacked.compile import CompiledFunction, has_compiler
from gaplab.train import run_one, run_planned

pytestmark = pytest.mark.usefixtures("few_draws")
WORDS = (
    *("task=gan", "data=ring", "data.num_points=120", "data.num_val_points=100", "data.num_test_points=100"),
    *("data.batch_size=24", "task.generator.widths=[5]", "task.discriminator.widths=[6,4]"),
    *("task.num_samples=100", "optimizer.lr=0.002", "trainer.max_steps=12", "trainer.eval_every_n_steps=6"),
    *(
        "trainer.accelerator=cpu",
        "trainer.progress_bar=false",
        "logging.pictures=false",
        "logging.subruns=never",
    ),
)
CASES = {
    "relativistic": (
        "task.fourier_features=5",
        "task.fourier_amplitude=[[0.2,0],[0.8,1]]",
        "task.latent_coins=3",
        "task.penalty_every_n_steps=5",
    ),
    "at the same time": (
        *("task.simultaneous=true", "task.penalty_every_n_steps=4", "task.fourier_features=5"),
        "task.discriminator_steps=2",
    ),
    "in turns": (
        *("task.discriminator_steps=3", "task.pack=2", "task.label_embedding=2", "trainer.block_steps=4"),
        *("optimizer.schedule=cosine", "optimizer@task.discriminator_optimizer=sgd"),
        "task.discriminator_optimizer.momentum=0.5",
    ),
}


def compose(*words: str) -> Composed:
    keys = {word.split("=")[0] for word in words}
    return compose_config([*(word for word in WORDS if word.split("=")[0] not in keys), *words])


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what would be compiled eagerly: the same function without the wait."""
    monkeypatch.setattr(
        gans, "CompiledFunction", lambda function, compile: CompiledFunction(function, compile=False)
    )
    monkeypatch.setattr(compiled_loop, "has_compiler", lambda device: True)


def left(run: Path) -> dict[str, object]:
    content = read_checkpoint(run / "checkpoints" / "last.ckpt")
    content["history"] = content["callbacks"]["Recorder"]["history"]
    parts = ("global_step", "state_dict", "optimizer_states", "lr_schedulers", "history")
    return {part: content[part] for part in parts}


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("case", CASES)
def test_a_game_in_blocks_is_that_of_torch(case: str, tmp_path: Path) -> None:
    found = []
    for compile in (False, True):
        words = ("trainer.precision=64-true", f"trainer.compile={compile}", *CASES[case])
        run_one(compose(*words), tmp_path / str(compile))
        found.append(left(tmp_path / str(compile)))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-8)


@pytest.mark.thorough
@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="needs a C++ compiler")
@pytest.mark.parametrize("case", ["relativistic", "at the same time"])
def test_a_compiled_game_is_that_of_torch(
    case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = []
    for compile in (False, True):
        words = ("trainer.precision=64-true", f"trainer.compile={compile}", *CASES[case])
        run_one(compose(*words), tmp_path / str(compile))
        found.append(left(tmp_path / str(compile)))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-8)
    assert "without the compiler" not in caplog.text


@pytest.mark.usefixtures("uncompiled")
def test_a_stopped_game_continues_bit_for_bit(tmp_path: Path, stop_at: object) -> None:
    assert callable(stop_at)
    words = ("trainer.compile=true", *CASES["relativistic"])
    run_one(compose(*words), tmp_path / "whole")
    stop_at(6)
    with pytest.raises(Preempted):
        run_one(compose(*words), tmp_path / "parts")
    stop_at(None)
    run_planned(plan_resumption(tmp_path / "parts", []))
    whole, parts = left(tmp_path / "whole"), left(tmp_path / "parts")
    torch.testing.assert_close(parts["state_dict"], whole["state_dict"], rtol=0, atol=0)


class Halving(Callback):
    """Changes a learning rate between two blocks."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for group in trainer.optimizers[1].param_groups:
            group["lr"] *= 0.5


@pytest.mark.usefixtures("uncompiled")
def test_a_rate_that_a_callback_changes_is_in_force() -> None:
    trained = []
    for compile in (False, True):
        config = compose("trainer.precision=64-true", f"trainer.compile={compile}").config
        data, task = build_data_and_task(config)
        task.double()
        build_trainer(config, [Halving()], []).fit(task, datamodule=data)
        trained.append(task.state_dict())
    torch.testing.assert_close(*trained, rtol=0, atol=1e-8)


def test_what_cannot_be_compiled_says_so_and_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="gaplab"):
        run_one(compose("trainer.compile=true", "task.spectral_norm=true"), tmp_path / "run")
    (record,) = (record for record in caplog.records if record.name == "gaplab.stacked.compiled_loop")
    assert "the steps are taken without the compiler, because task.spectral_norm" in record.getMessage()


@pytest.mark.parametrize(
    ("steps", "wanted", "compiles"),
    [
        (compiled_game.PAYS_FROM - 1, "auto", False),
        (compiled_game.PAYS_FROM, "auto", True),
        (compiled_game.PAYS_FROM, "false", False),
    ],
)
def test_the_length_of_a_game_decides_where_nobody_does(
    steps: int, wanted: str, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_game, "_obstacle", lambda *_: None)
    monkeypatch.setattr(compiled_game, "CompiledGame", lambda *_: "compiled")
    config = compose(f"trainer.max_steps={steps}", f"trainer.compile={wanted}").config
    loop = compiled_game.build_compiled_game(config, None, None)  # type: ignore[arg-type]
    assert loop == ("compiled" if compiles else None)
