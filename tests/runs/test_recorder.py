"""The books of a run: what is best, when it stops, and what a checkpoint of it holds."""

import math
from typing import Any

import pytest
import torch

from gaplab.runs.recorder import Recorder
from quick_runs import Compose


def measured(recorder: Recorder, values: list[float], tag: str = "loss/val") -> list[bool]:
    """Record a value every ten steps."""
    return [recorder.record(10 * (number + 1), {tag: value}) for number, value in enumerate(values)]


def test_the_best_weights_have_the_smallest_value_and_the_first_of_equals(quick: Compose) -> None:
    recorder = Recorder(quick().config)
    assert measured(recorder, [0.5, 0.4, 0.4, 0.6]) == [True, True, False, False]
    assert (recorder.best_step, recorder.best_value) == (20, 0.4)
    assert recorder.best_measurement() == (20, {"loss/val": 0.4})


def test_without_validation_the_latest_measurement_stands_for_the_best(quick: Compose) -> None:
    recorder = Recorder(quick().config)
    assert recorder.best_measurement() == (0, {})
    measured(recorder, [0.5, 0.6], "loss/test")
    assert recorder.best_measurement() == (20, {"loss/test": 0.6})
    recorder = Recorder(quick().config)
    measured(recorder, [math.inf])
    assert recorder.best_measurement() == (10, {"loss/val": math.inf})


def test_patience_counts_measurements_without_a_better_value(quick: Compose) -> None:
    recorder = Recorder(quick("trainer.early_stopping_patience=2").config)
    stops = []
    for number, value in enumerate([0.5, 0.6, 0.4, 0.4, 0.7]):
        recorder.record(number, {"loss/val": value})
        stops.append(recorder.stopped)
    assert stops == [False, False, False, False, True]


def test_a_level_of_training_stops_the_run(quick: Compose) -> None:
    recorder = Recorder(quick("trainer.stop_at_train_loss=0.1", "trainer.stop_at_train_accuracy=0.9").config)
    recorder.record(10, {"loss/train": 0.2, "accuracy/train": 0.8})
    assert recorder.active
    recorder.record(20, {"loss/train": 0.2, "accuracy/train": 0.9})
    assert not recorder.active


def test_a_checkpoint_continues_the_books(quick: Compose) -> None:
    composed = quick("trainer.early_stopping_patience=3")
    first = Recorder(composed.config)
    measured(first, [0.5, 0.4, 0.6])
    second = Recorder(composed.config)
    second.restore(30, {"Recorder": first.state_dict()})
    assert second.state_dict() == first.state_dict()
    assert second.step == 30
    assert second.measured == set()


@pytest.mark.parametrize("waited", [0, 2])
def test_a_checkpoint_of_the_first_edition_continues_the_books(quick: Compose, waited: int) -> None:
    stopping = {"wait_count": waited, "stopped_epoch": 0, "best_score": torch.tensor(0.4), "patience": 3}
    old: dict[str, Any] = {
        "GapCurves": {"history": {10: {"loss/val": 0.4}}},
        "Checkpoints": {"best_loss": 0.4, "best_step": 10, "event_sizes": {}},
        "EarlyStopping{'monitor': 'loss/val', 'mode': 'min'}": stopping,
    }
    recorder = Recorder(quick().config)
    recorder.restore(20, old)
    assert (recorder.best_value, recorder.best_step, recorder.stale) == (0.4, 10, waited)
    assert recorder.history == {10: {"loss/val": 0.4}}
