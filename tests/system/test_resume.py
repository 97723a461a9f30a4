"""A run that was stopped and continued ends with the numbers of one that was not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gaplab.builders.load_run import load_run
from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError, Preempted
from gaplab.runs.checkpoints import read_checkpoint, read_weights
from gaplab.runs.directory import read_config, read_json
from gaplab.runs.results import Result
from gaplab.runs.resume import latest_run, plan_new, plan_resumption
from gaplab.storage.atomic import write_json
from gaplab.train import run_one, run_planned
from quick_runs import Compose


def final(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[int, dict[str, float]]]:
    """Last weights, result, and all measurements of a run."""
    checkpoint = read_checkpoint(path / "checkpoints" / "last.ckpt")
    history = next(s["history"] for key, s in checkpoint["callbacks"].items() if key == "Recorder")
    return checkpoint["state_dict"], read_json(path / "result.json"), history


CASES = {
    "plain": [],
    "dropout": ["network.dropout=0.3", "optimizer.schedule=cosine", "optimizer.warmup_steps=4"],
    "momentum": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay_on_bias=false"],
    "lbfgs": ["optimizer=lbfgs", "data.batch_size=null"],
    "long blocks": ["trainer.max_steps=130", "trainer.eval_every_n_steps=60"],
}


@pytest.mark.parametrize(
    ("case", "stop"),
    [("plain", 1), ("plain", 16), ("dropout", 8), ("momentum", 16), ("lbfgs", 8), ("long blocks", 70)],
)
def test_stopped_and_continued_equals_uninterrupted(
    case: str, stop: int, quick: Compose, tmp_path: Path, stop_at: Any
) -> None:
    composed = quick(*CASES[case])
    stop_at(None)
    run_one(composed, tmp_path / "whole")
    stop_at(stop)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    assert read_json(tmp_path / "parts" / "run.json")["status"] == "preempted"
    stop_at(None)
    plan = plan_new(composed, tmp_path / "parts")
    assert plan.checkpoint is not None
    assert stop <= read_checkpoint(plan.checkpoint)["global_step"] < composed.config.num_steps
    run_planned(plan)
    (weights, result, history), (other_weights, other_result, other_history) = (
        final(tmp_path / name) for name in ("whole", "parts")
    )
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert other_result == result
    assert other_history == history
    assert read_json(tmp_path / "parts" / "run.json")["status"] == "finished"


@pytest.fixture
def stopped_run(quick: Compose, tmp_path: Path, stop_at: Any) -> Path:
    """A run that was stopped at its first measurement."""
    stop_at(8)
    path = tmp_path / "stopped"
    with pytest.raises(Preempted):
        run_one(quick("optimizer=sgd"), path)
    stop_at(None)
    return path


def resume(path: Path, *overrides: str) -> Result:
    plan = plan_resumption(path, list(overrides))
    return run_one(plan.composed, plan.path, checkpoint=plan.checkpoint)


def test_changed_settings_are_said_and_take_effect(
    stopped_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = read_checkpoint(stopped_run / "checkpoints" / "last.ckpt")["state_dict"]
    resume(stopped_run, "optimizer.lr=1e-30", "trainer.max_steps=12")
    said = capsys.readouterr().out
    assert "optimizer.lr: 0.1 -> 1e-30 (takes effect from here on)" in said
    assert "trainer.max_steps: 24 -> 12 (takes effect from here on)" in said
    checkpoint = read_checkpoint(stopped_run / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == 12
    assert all(torch.equal(start[name], tensor) for name, tensor in checkpoint["state_dict"].items())
    assert read_config(stopped_run)["optimizer"]["lr"] == 1e-30


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("network.widths=[9]", "network.widths .*another network"),
        ("network=linear", "network: expected overrides of single keys beside resume"),
        ("experiment=notebook_relu", "experiment: expected overrides of single keys"),
        ("optimizer.lr=fast", "optimizer.lr: expected a number, but got 'fast'"),
        ("optimizer.rate=1", "optimizer.rate: .*no such key"),
        ("+optimizer.rate=1", "optimizer.rate: .*no such key"),
        ("data.num_points=-1", "data.num_points: expected .* at least 3"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(word: str, message: str, stopped_run: Path) -> None:
    before = {file: file.read_bytes() for file in stopped_run.rglob("*") if file.is_file()}
    with pytest.raises(ConfigError, match=message):
        plan_resumption(stopped_run, [word])
    assert before == {file: file.read_bytes() for file in stopped_run.rglob("*") if file.is_file()}


def test_a_finished_run_is_left_alone_and_can_be_prolonged(
    quick: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    result = run_one(quick(), path)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    plan = plan_resumption(path, [])
    assert plan.finished
    assert run_planned(plan) == result.objective
    assert f"Already finished: {path}" in capsys.readouterr().out
    assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}

    assert resume(path, "trainer.max_steps=40").step == 40
    run_one(quick("trainer.max_steps=40"), tmp_path / "whole")
    longer, whole = final(path), final(tmp_path / "whole")
    assert all(torch.equal(longer[0][name], whole[0][name]) for name in whole[0])
    assert longer[1:] == whole[1:]


def test_a_directory_of_another_configuration_is_refused(quick: Compose, stopped_run: Path) -> None:
    with pytest.raises(ConfigError, match=r"run.id: .*optimizer.lr \(0.1 there, 0.5 here\)"):
        plan_new(quick("optimizer=sgd", "optimizer.lr=0.5"), stopped_run)


HOLD = (
    "import sys; from pathlib import Path; from gaplab.storage.locking import lock; lock(Path(sys.argv[1]))"
)


def test_a_directory_in_which_a_process_works_is_refused(stopped_run: Path) -> None:
    code = f"{HOLD}; print('locked', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(stopped_run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as alive:
        assert alive.stdout is not None
        assert alive.stdout.readline() == b"locked\n"
        with pytest.raises(ConfigError, match="a run is at work in this directory"):
            plan_resumption(stopped_run, [])
        alive.kill()
    assert plan_resumption(stopped_run, []).checkpoint is not None, "a process that died is no obstacle"


def test_an_attempt_without_a_checkpoint_starts_again(quick: Compose, stopped_run: Path) -> None:
    (stopped_run / "checkpoints" / "last.ckpt").unlink()
    plan = plan_resumption(stopped_run, [])
    assert plan.checkpoint is None
    assert not list(stopped_run.glob("events.out.tfevents.*"))
    assert run_one(plan.composed, plan.path).step == 24


def test_what_is_no_run_is_refused(tmp_path: Path, stopped_run: Path) -> None:
    with pytest.raises(ConfigError, match="expected a run directory, which has a config.yaml"):
        plan_resumption(tmp_path / "nowhere", [])
    record = json.loads((stopped_run / "run.json").read_text())
    write_json(stopped_run / "run.json", record | {"status": "finished"})
    (stopped_run / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(ConfigError, match="last checkpoint of a finished run, but it is gone"):
        plan_resumption(stopped_run, [])


def test_resume_auto_is_no_part_of_the_identity_of_a_run(stopped_run: Path, quick: Compose) -> None:
    plan = plan_new(compose_config(quick("optimizer=sgd", "resume=auto").overrides), stopped_run)
    assert plan.checkpoint is not None


@pytest.mark.parametrize("steps", [24, 32])
def test_on_other_data_the_best_weights_are_chosen_anew(tmp_path: Path, quick: Compose, steps: int) -> None:
    """A loss on the old data says nothing beside one on the new, however small it was."""
    run = tmp_path / "run"
    before = run_one(quick("data.noise=0.1"), run)
    assert before.best_step is not None
    plan = plan_resumption(run, ["data.noise=1.5", f"trainer.max_steps={steps}"])
    assert plan.anew
    run_planned(plan)
    result = json.loads((run / "result.json").read_text())
    assert result["best_step"] == steps, "the one measurement on the new data"
    assert result["best"]["loss/val"] == result["last"]["loss/val"] != before.history[24]["loss/val"]
    best = load_run(run)
    assert best.config.data.noise == 1.5
    assert read_weights(run / "checkpoints" / "best.ckpt").step == result["best_step"]
    same = plan_resumption(run, [f"trainer.max_steps={steps + 8}"])
    assert not same.anew


def test_the_legs_of_a_run_are_kept(tmp_path: Path, quick: Compose) -> None:
    """What a run was before its settings changed stays on record, and its seconds add up."""
    run = tmp_path / "run"
    run_one(quick("data.noise=0.1", "optimizer.lr=0.02"), run)
    first = read_json(run / "run.json")
    assert [(leg["step"], leg["changes"], leg["status"]) for leg in first["legs"]] == [(0, {}, "finished")]
    run_planned(plan_resumption(run, ["data.noise=0.6", "trainer.max_steps=32"]))
    record = read_json(run / "run.json")
    old, new = record["legs"]
    assert old == first["legs"][0]
    assert (new["step"], new["status"]) == (24, "finished")
    assert new["changes"] == {"data.noise": [0.1, 0.6], "trainer.max_steps": [24, 32]}
    assert record["seconds"] == pytest.approx(old["seconds"] + new["seconds"], abs=1e-3)
    words = (run / "overrides.yaml").read_text()
    assert "optimizer.lr=0.02" in words
    assert "data.noise=0.6" in words
    assert "data.noise=0.1" not in words
    # A leg that was killed has no end, and one that began in an older version has no list.
    for leg in record["legs"]:
        leg.pop("ended")
    record["legs"][-1]["status"] = "running"
    write_json(run / "run.json", record)
    run_planned(plan_resumption(run, ["trainer.max_steps=40"]))
    assert [leg["status"] for leg in read_json(run / "run.json")["legs"]] == [
        "finished",
        "killed",
        "finished",
    ]
    write_json(run / "run.json", {key: value for key, value in first.items() if key != "legs"})
    run_planned(plan_resumption(run, ["trainer.max_steps=48"]))
    legs = read_json(run / "run.json")["legs"]
    assert [(leg["step"], leg["seconds"] > 0) for leg in legs] == [(0, True), (40, True)]


def test_fewer_steps_than_were_taken_are_refused(quick: Compose, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_one(quick(), run)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(
        ConfigError, match=r"trainer.max_steps: expected at least the 24 steps that .* got 16"
    ):
        plan_resumption(run, ["trainer.max_steps=16"])
    assert before == {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["trainer.early_stopping_patience=2"], 24),
        (["trainer.stop_at_train_loss=100"], 16),
        (["trainer.stop_at_train_accuracy=0.01"], 16),
        (["trainer.eval_every_n_steps=20"], 40),
    ],
)
def test_rules_of_stopping_take_effect_after_resume(
    quick: Compose, tmp_path: Path, stop_at: Any, words: list[str], steps: int
) -> None:
    """Stopped at step 8, where it was measured; from then on no measurement is better than that one."""
    composed = quick("trainer.max_steps=40", "trainer.early_stopping_patience=9", "optimizer=sgd")
    stop_at(8)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "run")
    stop_at(None)
    assert resume(tmp_path / "run", *words, "optimizer.lr=1e-30").step == steps


def test_rows_of_metrics_do_not_repeat(stopped_run: Path, quick: Compose) -> None:
    """A run that was killed after its row and before its checkpoint measures that step once more."""
    table = stopped_run / "metrics.csv"
    before = table.read_text()
    row = before.splitlines()[-1].split(",")
    assert row[0] == "8"
    table.write_text(before + ",".join(["16", *row[1:]]) + "\n" + "\0damaged,\n" + "24,0.1")
    plan = plan_resumption(stopped_run, [])
    assert table.read_text() == before
    run_planned(plan)
    assert [line.split(",")[0] for line in table.read_text().splitlines()[1:]] == ["8", "16", "24"]
    (stopped_run / "checkpoints" / "last.ckpt").unlink()
    write_json(stopped_run / "run.json", read_json(stopped_run / "run.json") | {"status": "failed"})
    (stopped_run / "checkpoints" / "previous.ckpt").unlink(missing_ok=True)
    plan_resumption(stopped_run, [])
    assert not table.exists(), "what begins again begins with an empty table"


def test_the_latest_run_is_the_one_that_was_written_to_last(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resume: expected a run below"):
        latest_run([f"run.root={tmp_path}"])
    for number, name in enumerate(("a/1", "b/1", "a/2", "a/earlier/1")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text("{}")
        os.utime(tmp_path / name / "run.json", ns=(number, number))
    os.utime(tmp_path / "b" / "1" / "run.json", ns=(9, 9))
    assert latest_run([f"run.root={tmp_path}", "seed=1"]) == tmp_path / "b" / "1"
