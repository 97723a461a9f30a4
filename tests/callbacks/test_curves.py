"""Curves in the event files and in metrics.csv, also of runs that were interrupted and continued."""

import csv
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gaplab.config.compose import compose_config
from gaplab.config.logging import SubRuns
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_resumption
from gaplab.sweeps.naming import num_jobs
from gaplab.tensorboard.custom_scalars import charts
from gaplab.tensorboard.links import deep_link
from gaplab.tensorboard.loggers import MetricsTable
from gaplab.train import run_one, run_planned
from quick_runs import Compose


def points(folder: Path, tag: str) -> dict[int, float]:
    """Step to value; fails if a step occurs twice."""
    events = EventAccumulator(str(folder)).Reload().Scalars(tag)
    assert [event.step for event in events] == sorted({event.step for event in events})
    return {event.step: event.value for event in events}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_splits_have_the_same_tags_in_sub_runs(finished_run: Path) -> None:
    folders = sorted(file.parent.name for file in finished_run.glob("*/events.out.tfevents.*"))
    assert folders == ["95% lower", "95% upper", "test", "train", "val"]
    last = read_json(finished_run / "result.json")["last"]
    for split in ("test", "train", "val"):
        for quantity in ("loss", "accuracy"):
            values = points(finished_run / split, quantity)
            assert list(values) == [8, 16, 24]
            assert values[24] == pytest.approx(last[f"{quantity}/{split}"], rel=1e-6)
            assert values == points(finished_run, f"{quantity}/{split}")


def test_band_of_the_loss_is_its_95_percent_interval(finished_run: Path) -> None:
    low, gap, high, error = (
        points(finished_run, f"gap/loss{end}") for end in ("_lower", "", "_upper", "_error")
    )
    for step in gap:
        assert high[step] - gap[step] == pytest.approx(1.96 * error[step], rel=1e-4)
        assert gap[step] - low[step] == pytest.approx(1.96 * error[step], rel=1e-4)


def test_nothing_superfluous_is_left_in_the_directory(finished_run: Path) -> None:
    assert not list(finished_run.rglob("hparams.yaml"))
    tags = EventAccumulator(str(finished_run)).Reload().Tags()["scalars"]
    assert not {"hp_metric", "epoch", "step"} & set(tags)


def test_what_a_run_costs_is_in_its_events_and_not_in_its_table(finished_run: Path) -> None:
    speeds = points(finished_run, "cost/steps_per_second")
    memory = points(finished_run, "cost/memory_mib")
    assert list(speeds) == list(memory) == [8, 16, 24]
    record = read_json(finished_run / "run.json")
    seconds = record["seconds"]
    assert sum(8 / speed for speed in speeds.values()) < seconds, "training is a part of the whole"
    assert points(finished_run, "final/seconds") == {24: pytest.approx(seconds)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    assert 50 < memory[8] <= memory[16] <= memory[24] <= peak
    assert not [name for name in table(finished_run / "metrics.csv")[0] if name.startswith("cost/")]
    line = (finished_run / "log.txt").read_text().splitlines()[-2]
    assert line.endswith(f"  {speeds[24]:,.0f} steps/s  {memory[24]:,.0f} MiB")


def test_metrics_table_holds_the_measurements(finished_run: Path) -> None:
    rows = table(finished_run / "metrics.csv")
    assert [row["step"] for row in rows] == ["8", "16", "24"]
    last = read_json(finished_run / "result.json")["last"]
    assert {tag: float(rows[-1][tag]) for tag in last} == last


class StopAfter(Callback):
    """Breaks off after a measurement, like a machine that is taken away."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("power cut")


def test_continued_run_goes_on_without_double_points(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gaplab.train as study

    build = study.build_callbacks
    run_one(quick("trainer.max_steps=8"), tmp_path / "run")
    # The second attempt measures at 16 and 24, but dies before last.ckpt is written again.
    monkeypatch.setattr(study, "build_callbacks", lambda *args: [*build(*args), StopAfter(24)])
    time.sleep(1)  # event files of one second are read in the order of their numbers as text
    with pytest.raises(RuntimeError, match="power cut"):
        run_planned(plan_resumption(tmp_path / "run", ["trainer.max_steps=32"]))
    monkeypatch.setattr(study, "build_callbacks", build)
    time.sleep(1)
    run_planned(plan_resumption(tmp_path / "run", ["trainer.max_steps=32"]))
    assert list(points(tmp_path / "run", "loss/test")) == [8, 16, 24, 32]
    assert list(points(tmp_path / "run" / "val", "loss")) == [8, 16, 24, 32]
    assert [row["step"] for row in table(tmp_path / "run" / "metrics.csv")] == ["8", "16", "24", "32"]


def test_sub_runs_tables_and_events_can_be_switched_off(quick: Compose, tmp_path: Path) -> None:
    run_one(quick("logging.subruns=never", "logging.csv=false"), tmp_path / "plain")
    assert list((tmp_path / "plain").glob("events.out.tfevents.*"))
    assert not (tmp_path / "plain" / "train").exists()
    assert not (tmp_path / "plain" / "metrics.csv").exists()
    run_one(quick("logging.tensorboard=false"), tmp_path / "quiet")
    assert not list((tmp_path / "quiet").rglob("events.out.tfevents.*"))
    assert len(table(tmp_path / "quiet" / "metrics.csv")) == 3


def test_jobs_of_a_sweep_are_counted() -> None:
    assert num_jobs(["seed=0,1,2", "data.noise=0.1,0.2", "optimizer.lr=0.1"]) == 6
    assert num_jobs(["seed=range(0,256)"]) == 256
    assert num_jobs(["optimizer.lr=0.1", "network.widths=[50,50]"]) == 1


def test_sub_runs_are_automatic_by_default() -> None:
    assert compose_config([]).config.logging.subruns is SubRuns.auto


def test_table_grows_columns_and_merges_what_belongs_to_one_step(tmp_path: Path) -> None:
    log = MetricsTable(tmp_path / "metrics.csv")
    log.log_metrics({"a": 1.0}, 10)
    log.log_metrics({"b": 2.0}, 10)
    log.log_metrics({"a": 3.0, "c": 0.1}, 20)
    log.log_metrics({"a": 4.0}, 30)
    log.finalize("success")
    assert (tmp_path / "metrics.csv").read_text().split() == [
        "step,a,b,c",
        "10,1.0,2.0,",
        "20,3.0,,0.1",
        "30,4.0,,",
    ]
    again = MetricsTable(tmp_path / "metrics.csv")
    again.forget_after(20)
    again.log_metrics({"a": 5.0}, 25)
    again.save()
    assert [row["step"] for row in table(tmp_path / "metrics.csv")] == ["10", "20", "25"]


def test_charts_name_the_tags_that_exist() -> None:
    tags = ["loss/train", "loss/test", "accuracy/train", "accuracy/test", "bayes/loss"]
    tags += ["gap/loss", "gap/loss_error", "gap/loss_lower", "gap/loss_upper", "gap/accuracy"]
    layout = charts(tags, subruns=False)
    assert layout["training"]["Loss"] == ["Multiline", ["^loss/(train|val|test)$", "^bayes/loss$"]]
    gap = layout["generalization"]["Generalization gap"]
    assert gap == ["Margin", ["gap/loss", "gap/loss_lower", "gap/loss_upper"]]
    line = layout["generalization"]["Generalization gap in accuracy"]
    assert line == ["Multiline", ["^gap/accuracy$"]], "its band is not among the tags"
    assert charts(tags, subruns=True)["training"]["Accuracy"] == ["Multiline", ["^accuracy$"]]
    own = charts(["r2/train", "r2/test", "gap/r2"], subruns=True)
    assert own["training"]["R2"] == ["Multiline", ["^r2$"]]


def test_deep_link_is_quoted_and_without_smoothing() -> None:
    link = deep_link("lr=0.1,seed=3", "^loss$")
    assert link == (
        "http://127.0.0.1:6006/?smoothing=0&tagFilter=%5Eloss%24"
        "&runFilter=%28%5E%7C%2F%29lr%3D0%5C.1%2Cseed%3D3%28%2F%7C%24%29#timeseries"
    )


def test_a_row_that_a_kill_has_cut_is_no_row(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,loss/train\n10,0.5\n20,0.4\n3")
    log = MetricsTable(file)
    log.forget_after(30)
    log.log_metrics({"loss/train": 0.3, "gap/loss": 0.1}, 30)
    log.save()
    assert [(row["step"], row["gap/loss"]) for row in table(file)] == [("10", ""), ("20", ""), ("30", "0.1")]
