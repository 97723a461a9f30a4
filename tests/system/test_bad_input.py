"""Mishaps: a place that cannot be written, a loss that explodes, Ctrl-C, too few points, missing devices."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch

from gaplab import cli
from gaplab.errors import CannotWriteError, ConfigError, DivergedError
from gaplab.runs.directory import RunDirectory, read_json
from gaplab.runs.resume import plan_resumption
from gaplab.train import run_one, run_planned
from quick_runs import QUICK, Compose, set_once
from running import TRAIN, finished, running


def run_main(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["train.py", *set_once(*QUICK, *words)])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_place_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run_main(monkeypatch, f"run.root={tmp_path}/file/logs") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"error: run.root: expected a folder that can be written, but {tmp_path}/file" in captured.err
    assert os.listdir(tmp_path) == ["file"]


def test_a_loss_that_explodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"run.root={tmp_path}", "run.id=mine", "optimizer=sgd", "optimizer.lr=1e30"]
    assert run_main(monkeypatch, *words, "network.widths=[8,8]") == 1
    message = capsys.readouterr().err
    record = read_json(tmp_path / "default" / "mine" / "run.json")
    assert record["status"] == "diverged"
    assert f"not finite at step {record['diverged_at_step']}" in message
    assert "Try a smaller optimizer.lr" in message
    assert "Traceback" not in message


def test_weights_that_the_last_step_spoils(quick: Compose, tmp_path: Path) -> None:
    words = ["optimizer=sgd", "optimizer.lr=1e38", "trainer.max_steps=1", "network.widths=[8,8]"]
    with pytest.raises(DivergedError, match="the loss on the training set is not finite at step 1"):
        run_one(quick(*words), tmp_path / "run")
    assert read_json(tmp_path / "run" / "run.json")["status"] == "diverged"


def test_control_c_keeps_what_was_reached(tmp_path: Path) -> None:
    words = set_once(
        *QUICK, f"run.root={tmp_path}", "run.id=mine", "trainer.max_steps=10_000_000", "trainer.compile=false"
    )
    path = tmp_path / "default" / "mine"
    with running([*TRAIN, *words], tmp_path / "log.txt") as command:
        command.wait_for((path / "checkpoints" / "best.ckpt").is_file)
        command.process.send_signal(signal.SIGINT)
        assert command.finish() == 130, command.output
    said = command.output
    assert "Traceback" not in said
    assert "resume=" in said
    assert read_json(path / "run.json")["status"] == "preempted"
    content = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)
    step = content["global_step"]
    assert step > 0
    plan = plan_resumption(path, [f"trainer.max_steps={step + 5}"])
    assert plan.checkpoint == path / "checkpoints" / "last.ckpt"
    run_planned(plan)
    assert read_json(path / "result.json")["step"] == step + 5


@pytest.mark.parametrize("words", ["data.num_points=0", "data.num_points=1", "data.batch_size=61"])
def test_too_few_points(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, f"run.root={tmp_path}/logs", words) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {words.split('=')[0]}: expected ")
    assert len(message.splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_one_training_point_is_enough(quick: Compose, tmp_path: Path) -> None:
    words = ["data=playground_spirals", "data.num_points=2", "data.num_folds=2", "data.batch_size=null"]
    result = run_one(quick(*words), tmp_path / "run")
    assert (result.num_train_points, result.step) == (1, 24)
    reported = read_json(tmp_path / "run" / "result.json")["last"]
    assert reported["gap/loss_error"] is None, "one value has no variance"
    assert reported["gap/loss"] == reported["loss/test"] - reported["loss/train"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_devices_that_do_not_exist(tmp_path: Path) -> None:
    words = [f"run.root={tmp_path}/logs", "trainer.accelerator=gpu", "trainer.devices=2"]
    command = finished([*TRAIN, *set_once(*QUICK, *words)], tmp_path / "log.txt")
    assert command.process.returncode == 2
    assert command.output.startswith("error: trainer.accelerator, trainer.devices: ")
    assert os.listdir(tmp_path) == ["log.txt"]


def test_a_full_disk(quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    composed = quick()
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ConfigError, match="run.root: .* No space left on device"):
        run_one(composed, tmp_path / "run")


def test_a_disk_that_fills_up_while_a_run_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*arguments: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    monkeypatch.setattr("gaplab.callbacks.checkpoints.keep_previous", full_disk)
    assert run_main(monkeypatch, f"run.root={tmp_path}", "run.id=mine") == 1
    (line,) = capsys.readouterr().err.splitlines()
    path = tmp_path / "default" / "mine"
    assert line.startswith(f"error: {path}: cannot be written: No space left on device.")
    assert f"then resume={path} continues" in line
    assert read_json(path / "run.json")["status"] == "failed"
    assert "failed: " in (path / "log.txt").read_text()


def test_a_status_is_told_where_there_is_no_room_for_a_new_file(quick: Compose, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.open(quick())
    before = (run.path / "run.json").stat().st_ino

    def fill_up() -> None:
        with run.recorded():
            raise OSError(28, "No space left on device", str(run.path / "metrics.csv"))

    with pytest.raises(CannotWriteError, match="metrics.csv: cannot be written"):
        fill_up()
    assert read_json(run.path / "run.json")["status"] == "failed"
    assert (run.path / "run.json").stat().st_ino == before, "no new file was made"


def test_an_error_of_another_file_is_not_one_of_the_disk(quick: Compose, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.open(quick())

    def look_elsewhere() -> None:
        with run.recorded():
            raise FileNotFoundError(2, "No such file or directory", "/nowhere/points.csv")

    with pytest.raises(FileNotFoundError):
        look_elsewhere()
    log = (run.path / "log.txt").read_text()
    assert "Traceback (most recent call last)" in log
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/points.csv'" in log.splitlines()
    assert log.splitlines()[-1].partition(" ")[2].startswith("failed: FileNotFoundError")


def test_too_large_a_network_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, f"run.root={tmp_path}/logs", "network.widths=[1000000000000]") == 1
    assert capsys.readouterr().err.startswith("error: not enough memory: ")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_no_run_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "default" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("somebody's")
    assert run_main(monkeypatch, f"run.root={tmp_path}", "run.id=mine") == 2
    assert f"but {folder} holds other files" in capsys.readouterr().err
    assert (folder / "config.yaml").read_text() == "somebody's"
    assert os.listdir(folder) == ["config.yaml"]


def test_measurements_are_lines_where_the_output_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"run.root={tmp_path}", "run.id=mine", "trainer.progress_bar=true"]
    assert run_main(monkeypatch, *words) == 0
    last = read_json(tmp_path / "default" / "mine" / "result.json")["last"]
    said = f"step 24 of 24: loss train {last['loss/train']:.4g}, val {last['loss/val']:.4g}, "
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split(":")[0] for line in printed] == [f"step {step} of 24" for step in (8, 16, 24)]
    assert printed[-1].startswith(said)
    log = (tmp_path / "default" / "mine" / "log.txt").read_text().splitlines()
    assert [line.partition(" ")[2].split(":")[0] for line in log] == [
        "started",
        *(f"step {step} of 24" for step in (8, 16, 24)),
        "finished",
    ]


def test_damaged_rows_of_the_table_do_not_stand_in_the_way(finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    file = tmp_path / "run" / "metrics.csv"
    header, *rows = file.read_text().splitlines()
    file.write_bytes("\n".join([header, "x" * 9, *rows, "8,\0,3,4" + ",5" * 90]).encode() + b"\n\xff,\n")
    run_planned(plan_resumption(tmp_path / "run", ["trainer.max_steps=30"]))
    assert [line.split(",")[0] for line in file.read_text().splitlines()] == ["step", "8", "16", "24", "30"]
