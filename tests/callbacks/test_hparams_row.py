"""The run's row on TensorBoard's HPARAMS page."""

from functools import partial
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from gaplab.callbacks.hparams_row import HParamsRow
from gaplab.config.compose import compose_config
from gaplab.config.hparams import changed_settings, flat_settings, shown_settings
from gaplab.errors import DivergedError
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_resumption
from gaplab.train import run_one, run_planned
from quick_runs import Compose


def row(path: Path) -> tuple[EventAccumulator, dict[str, HParamsPluginData]]:
    events = EventAccumulator(str(path)).Reload()
    tags = (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG, metadata.EXPERIMENT_TAG)
    contents = events.PluginTagToContent(metadata.PLUGIN_NAME)
    return events, {tag: HParamsPluginData.FromString(contents[tag]) for tag in tags if tag in contents}


def test_settings_are_flat_typed_and_without_paths() -> None:
    flat = flat_settings(compose_config(["network.widths=[8,4]", "seed=3"]).config)
    assert flat["data"] == "spirals"
    assert flat["seed"] == flat["train_seed"] == 3
    assert flat["network.widths"] == "[8, 4]"
    assert flat["network.activation"] == "relu"
    assert flat["optimizer.max_grad_norm"] == "null"
    assert flat["trainer.deterministic"] is True
    assert flat["num_steps"] == 10_000
    assert not any(name.split(".")[0] in ("run", "logging", "resume", "tags") for name in flat)


def test_changed_settings_are_those_named_and_those_off_the_default() -> None:
    words = ["data.noise=0.2", "network=linear", "trainer.max_steps=10", "optimizer.weight_decay=0.1"]
    changed = changed_settings(compose_config(words).config, words)
    assert changed == {
        "network": "linear",
        "num_steps": 10,
        "data.noise": 0.2,  # named, though it is the default
        "optimizer.weight_decay": 0.1,
    }
    assert changed_settings(compose_config([]).config) == {}
    assert changed_settings(compose_config(["seed=1"]).config) == {"seed": 1}


def test_a_sweep_shows_first_what_it_varies() -> None:
    words = ["data.noise=0.2", "network.widths=[8]", "trainer.max_steps=10", "seed=4"]
    words += ["data.num_points=90", "optimizer.lr=0.1"]
    config = compose_config(words).config
    shown = shown_settings(config, words, ["seed", "trainer.max_steps"])
    assert list(shown) == ["seed", "num_steps"]
    assert shown.items() <= flat_settings(config).items()
    assert shown_settings(config, words) == changed_settings(config, words)


def test_row_of_a_finished_run(finished_run: Path) -> None:
    events, content = row(finished_run)
    start = content[metadata.SESSION_START_INFO_TAG].session_start_info
    assert start.hparams["data.label_noise"].number_value == 0.2
    assert start.hparams["network.dense_skip"].WhichOneof("kind") == "bool_value"
    assert start.group_name.startswith("finished (")
    end = content[metadata.SESSION_END_INFO_TAG].session_end_info
    assert end.status == api_pb2.STATUS_SUCCESS
    assert end.end_time_secs >= start.start_time_secs

    experiment = content[metadata.EXPERIMENT_TAG].experiment
    assert experiment.metric_infos[0].name.tag == "best/gap_loss"
    first = {info.name for info in experiment.hparam_infos if info.differs}
    assert {"data.label_noise", "network.widths", "num_steps"} <= first
    assert "optimizer.lr" not in first

    best = read_json(finished_run / "result.json")["best"]
    for tag, value in best.items():
        (point,) = events.Scalars(f"best/{tag.replace('/', '_')}")
        assert point.value == pytest.approx(value, rel=1e-6)
    assert events.Scalars("run/finished")[0].value == 1.0


def test_a_job_of_a_sweep_has_its_number_and_the_varied_columns_only(tmp_path: Path) -> None:
    run = tmp_path / "sweep" / "seed=3,lr=0.1"
    run.mkdir(parents=True)
    settings = {"seed": 3, "optimizer.lr": 0.1, "network.widths": "[8]"}
    job = HParamsRow(run, settings, {"seed": 3, "optimizer.lr": 0.1}, number=7)
    job.open(partial(EventFileWriter, str(run), filename_suffix=HParamsRow.SUFFIX))
    job.end({"gap/loss": 0.5}, 10, api_pb2.STATUS_SUCCESS, "best")
    _, content = row(run)
    start = content[metadata.SESSION_START_INFO_TAG].session_start_info
    assert start.group_name == "0007 seed=3,lr=0.1 (sweep)"
    assert start.hparams["network.widths"].string_value == "[8]", "the row keeps all"
    experiment = content[metadata.EXPERIMENT_TAG].experiment
    assert [info.name for info in experiment.hparam_infos] == ["seed", "optimizer.lr"]


def test_diverged_run_has_a_row_that_says_so(quick: Compose, tmp_path: Path) -> None:
    wild = quick("optimizer=sgd", "optimizer.lr=1e4", "task.loss=squared_error", "trainer.max_steps=400")
    with pytest.raises(DivergedError):
        run_one(wild, tmp_path / "run")
    events, content = row(tmp_path / "run")
    assert content[metadata.SESSION_END_INFO_TAG].session_end_info.status == api_pb2.STATUS_FAILURE
    assert (
        content[metadata.SESSION_START_INFO_TAG].session_start_info.hparams["optimizer.lr"].number_value
        == 1e4
    )
    assert events.Scalars("run/finished")[0].value == 0.0
    assert metadata.EXPERIMENT_TAG not in content, "a run without a measurement decides no columns"


def test_continued_run_shows_its_last_settings_and_one_row(quick: Compose, tmp_path: Path) -> None:
    run_one(quick("trainer.max_steps=8"), tmp_path / "run")
    run_planned(plan_resumption(tmp_path / "run", ["trainer.max_steps=16", "optimizer.lr=0.5"]))
    (file,) = (tmp_path / "run").glob("*.session")
    first = Event.FromString(next(iter(RawEventFileLoader(str(file)).Load())))
    assert first.file_version == "brain.Event:2", "the file was begun before the old one was removed"
    events, content = row(tmp_path / "run")
    hparams = content[metadata.SESSION_START_INFO_TAG].session_start_info.hparams
    assert (hparams["num_steps"].number_value, hparams["optimizer.lr"].number_value) == (16, 0.5)
    (point,) = events.Scalars("best/loss_test")
    assert point.step == 16
