"""What a run reports about its gap, against the same quantities worked out with scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gaplab.builders import build_data_and_task
from gaplab.runs.checkpoints import load_weights, read_checkpoint
from gaplab.runs.directory import read_json
from gaplab.tasks.task import Task
from gaplab.tensorboard.read_curves import read_history
from gaplab.train import run_one
from quick_runs import Compose

WORDS = [
    "network.widths=[8,8]",
    "network.dropout=0.5",
    "data.label_noise=0.2",
    "task.label_smoothing=0.1",
    "optimizer.weight_decay=0.01",
    "optimizer.weight_decay_on_bias=false",
    "optimizer.lr=0.02",
]


def by_hand(task: Task, splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Losses, accuracies and gaps of the weights in eval mode, without the code under test."""
    weights = {name: tensor.double().numpy() for name, tensor in task.state_dict().items()}
    names = [name for name in weights if name.endswith("weight")]
    table, losses = {}, {}
    for split, (points, labels) in splits.items():
        x = points
        for name in names:
            x = x @ weights[name].T + weights[name.replace("weight", "bias")]
            x = x if name == names[-1] else np.maximum(x, 0)
        chances = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        table[f"loss/{split}"] = log_loss(labels, chances, labels=[0, 1, 2])
        table[f"accuracy/{split}"] = accuracy_score(labels, chances.argmax(axis=1))
        losses[split] = -np.log(chances[np.arange(len(labels)), labels])
    table["gap/loss"] = table["loss/test"] - table["loss/train"]
    table["gap/accuracy"] = table["accuracy/train"] - table["accuracy/test"]
    variances = [losses[split].var(ddof=1) / len(losses[split]) for split in ("train", "test")]
    table["gap/loss_error"] = float(np.sqrt(sum(variances)))
    table["gap/accuracy_error"] = float(np.sqrt(np.log(2 / 0.05) / (2 * len(losses["test"]))))
    table["gap/effective_parameters"] = len(losses["train"]) * table["gap/accuracy"] ** 2
    size = sum(weight.size for weight in weights.values())
    table["scale/sqrt_params_over_points"] = float(np.sqrt(size / len(losses["train"])))
    square = sum(float((weights[name] ** 2).sum()) for name in names)
    table["loss/train_penalized"] = table["loss/train"] + 0.5 * 0.01 * square
    return table


def test_reported_numbers_are_those_of_whole_splits_at_equal_weights_in_eval_mode(
    quick: Compose, tmp_path: Path
) -> None:
    composed = quick(*WORDS)
    path = tmp_path / "run"
    result = run_one(composed, path)
    data, task = build_data_and_task(composed.config)
    splits = {
        name: (split.points.double().numpy(), split.labels.numpy()) for name, split in data.splits.items()
    }
    assert result.best is not None
    for reported, file in ((result.last, "last.ckpt"), (result.best, "best.ckpt")):
        load_weights(task, path / "checkpoints" / file)
        expected = by_hand(task, splits)
        assert reported.keys() == expected.keys()
        assert reported == pytest.approx(expected, rel=1e-4)

    content = read_json(path / "result.json")
    assert (content["last"], content["best"]) == (result.last, result.best)
    assert content["num_parameters"] == sum(parameter.numel() for parameter in task.parameters()) == 123
    assert content["num_train_points"] == 60
    assert content["epochs"] == 24 / 4


def test_the_measurements_of_training_go_to_tensorboard_by_step(quick: Compose, tmp_path: Path) -> None:
    path = tmp_path / "run"
    result = run_one(quick(), path)
    checkpoint = read_checkpoint(path / "checkpoints" / "last.ckpt")
    history = next(s["history"] for key, s in checkpoint["callbacks"].items() if key == "Recorder")
    assert list(history) == [8, 16, 24]
    assert history[24] == pytest.approx(result.last, rel=1e-6)
    events = EventAccumulator(str(path), size_guidance={"scalars": 0})
    events.Reload()
    for tag in ("loss/train", "loss/val", "loss/test", "gap/loss", "accuracy/test"):
        seen = {event.step: event.value for event in events.Scalars(tag)}
        assert seen == pytest.approx({step: table[tag] for step, table in history.items()}, rel=1e-6)


def test_measuring_changes_neither_the_mode_nor_the_course_of_training(
    quick: Compose, tmp_path: Path
) -> None:
    often = run_one(quick("network.dropout=0.5", "trainer.eval_every_n_steps=1"), tmp_path / "often")
    seldom = run_one(quick("network.dropout=0.5", "trainer.eval_every_n_steps=24"), tmp_path / "seldom")
    usual = run_one(quick("network.dropout=0.5", "trainer.eval_every_n_steps=null"), tmp_path / "usual")
    assert often.last == seldom.last == usual.last
    assert list(usual.history) == list(read_history(tmp_path / "usual")) == [0, 10, 20, 24]
    assert usual.history[10] == often.history[10]
    weights = [
        read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"]
        for name in ("often", "seldom", "usual")
    ]
    for other in weights[1:]:
        assert all(torch.equal(weights[0][name], other[name]) for name in weights[0])


def test_a_run_stops_early_where_it_is_told_to(quick: Compose, tmp_path: Path) -> None:
    result = run_one(quick("trainer.stop_at_train_loss=100"), tmp_path / "level")
    assert result.step == 8, "the first measurement"
    result = run_one(quick("trainer.stop_at_train_accuracy=0.01"), tmp_path / "accuracy")
    assert result.step == 8
    worse = ["optimizer=sgd", "optimizer.lr=1e-30", "trainer.early_stopping_patience=1"]
    result = run_one(quick(*worse), tmp_path / "patience")
    assert (result.step, result.best_step) == (16, 8), "equal is not better"
