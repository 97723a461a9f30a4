"""Checkpoints hold plain values, say what is wrong with them, and ``best`` is the best."""

from pathlib import Path

import pytest
import torch

from gaplab.builders import build_data_and_task
from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import AtomicCheckpointIO, load_weights, read_checkpoint, read_weights
from gaplab.runs.directory import read_json
from gaplab.train import run_one
from quick_runs import Compose


def history(checkpoint: dict) -> dict[int, dict[str, float]]:
    """All measurements so far, as a checkpoint carries them."""
    return next(state["history"] for key, state in checkpoint["callbacks"].items() if key == "Recorder")


def test_every_checkpoint_opens_without_unpickling_code(finished_run: Path) -> None:
    files = sorted(finished_run.rglob("*.ckpt"))
    assert [file.name for file in files] == ["best.ckpt", "last.ckpt"]
    for file in files:
        content = torch.load(file, weights_only=True)
        assert content["state_dict"].keys() == read_weights(file).weights.keys()
    assert read_weights(files[1]).step == 24


def test_best_has_the_smallest_validation_loss_of_all_measurements(quick: Compose, tmp_path: Path) -> None:
    # A rate this large makes the validation loss go up and down; 30 is no multiple of 7.
    words = ["optimizer.lr=0.3", "trainer.max_steps=30", "trainer.eval_every_n_steps=7"]
    result = run_one(quick(*words), tmp_path / "run")
    measured = history(read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt"))
    assert list(measured) == [7, 14, 21, 28, 30], "the last step is measured too"
    losses = {step: table["loss/val"] for step, table in measured.items()}
    assert result.best is not None
    assert result.best_step == min(losses, key=lambda step: losses[step])
    assert result.best["loss/val"] == pytest.approx(min(losses.values()), rel=1e-6)
    assert result.last["loss/val"] == pytest.approx(losses[30], rel=1e-6)
    assert read_json(tmp_path / "run" / "result.json")["objective"] == result.best["loss/val"]


def test_without_validation_there_is_no_best(quick: Compose, tmp_path: Path) -> None:
    result = run_one(quick("data.num_val_points=0"), tmp_path / "run")
    assert result.best is None
    assert "loss/val" not in result.last
    assert result.objective == result.last["loss/test"]
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()


class Trap:
    """Unpickling an object of this class would run a function."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


def test_damaged_missing_and_foreign_files_are_named(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "last.ckpt"
    with pytest.raises(ConfigError, match="last.ckpt: expected a checkpoint, but there is no such file"):
        read_checkpoint(path)
    whole = (finished_run / "checkpoints" / "last.ckpt").read_bytes()
    for content in (b"", b"not a checkpoint", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="last.ckpt: expected a readable checkpoint, but: "):
            read_checkpoint(path)
    torch.save({"state_dict": {}, "trap": Trap()}, path)
    with pytest.raises(ConfigError, match="last.ckpt: expected a readable checkpoint"):
        read_checkpoint(path)
    assert "executed" not in capsys.readouterr().out
    torch.save([1, 2], path)
    with pytest.raises(ConfigError, match="holds no 'state_dict'"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("network.widths=[9]", r"has shape \[8, 2\] instead of \[9, 2\]"),
        ("network.widths=[8,8]", "is missing"),
        ("network.widths=[]", "is unknown"),
    ],
)
def test_another_architecture_is_refused(word: str, problem: str, finished_run: Path, quick: Compose) -> None:
    _, task = build_data_and_task(quick(word).config)
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    with pytest.raises(ConfigError, match=problem):
        load_weights(task, finished_run / "checkpoints" / "last.ckpt")
    assert all(torch.equal(before[name], tensor) for name, tensor in task.state_dict().items())


def test_a_checkpoint_leaves_out_what_only_code_can_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hyper = {"lr": 0.1, "sizes": [1, 2], "own_loss_function": torch.nn.CrossEntropyLoss()}
    content = {
        "state_dict": {"w": torch.ones(2)},
        "hyper_parameters": hyper,
        "own_counter": object(),
        "epoch": 3,
    }
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / "a.ckpt")
    found = read_checkpoint(tmp_path / "a.ckpt")
    assert found["hyper_parameters"] == {"lr": 0.1, "sizes": [1, 2]}
    assert found.keys() == {"state_dict", "hyper_parameters", "epoch"}
    assert "the hyperparameter own_loss_function (CrossEntropyLoss) is left out" in caplog.text
    assert "own_counter (object) is left out" in caplog.text
