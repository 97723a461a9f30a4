"""Identity of a run, its files, and the status they tell."""

import json
import math
import os
import re
import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
import yaml

from gaplab.config.compose import restore
from gaplab.config.schema import RunConfig
from gaplab.errors import ConfigError, DivergedError
from gaplab.runs import provenance
from gaplab.runs.checkpoints import AtomicCheckpointIO
from gaplab.runs.directory import RunDirectory, Status, read_config, read_json
from gaplab.runs.resume import plan_resumption
from gaplab.runs.run_id import new_run_id, run_directory
from gaplab.storage.atomic import replacing, write_json, write_yaml
from quick_runs import Compose

ENVIRONMENTS = {
    "slurm-17": {"SLURM_JOB_ID": "17", "SLURM_PROCID": "3", "TORCHELASTIC_RUN_ID": "abc"},
    "slurm-10_4": {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "4"},
    "torchrun-abc": {"TORCHELASTIC_RUN_ID": "abc", "RANK": "1"},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_scheduler_and_torchrun_name_the_run_alike_on_all_ranks(name: str) -> None:
    environment = ENVIRONMENTS[name]
    assert new_run_id(environment) == name
    assert new_run_id(environment | {"SLURM_PROCID": "0", "RANK": "0"}) == name


def test_torchrun_without_an_id_names_the_run_by_its_own_start() -> None:
    names = {new_run_id({"TORCHELASTIC_RUN_ID": "none"}) for _ in range(5)}
    assert len(names) == 1, "a restarted worker finds its run again"
    assert re.fullmatch(rf"torchrun-\d{{8}}-\d{{6}}-{os.getppid()}", names.pop())


def test_several_runs_of_one_batch_job_have_directories_of_their_own() -> None:
    environment = {"SLURM_JOB_ID": "17"}
    names = {new_run_id(environment, words) for words in (["seed=1"], ["seed=2"], ["seed=1"])}
    assert len(names) == 2
    assert all(name.startswith("slurm-17-") for name in names)
    interactive = environment | {"SLURM_JOB_NAME": "interactive"}
    assert not new_run_id(interactive, ["seed=1"]).startswith("slurm"), "a person may repeat a command"


def test_a_command_that_a_job_of_slurm_repeats_is_a_new_run_unless_the_job_was_requeued(
    tmp_path: Path,
) -> None:
    environment, config = {"SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "mine"}, RunConfig(root=str(tmp_path))

    def name(restarts: int = 0) -> str:
        return run_directory(config, environment | {"SLURM_RESTART_COUNT": str(restarts)}).name

    def leave(run: str, status: str) -> None:
        (tmp_path / "default" / run).mkdir(parents=True, exist_ok=True)
        (tmp_path / "default" / run / "run.json").write_text(json.dumps({"status": status}))

    assert name() == name(1) == "slurm-17"
    leave("slurm-17", "finished")
    assert name() == "slurm-17-2"
    leave("slurm-17-2", "preempted")
    assert name() == "slurm-17-3"
    assert name(1) == "slurm-17-2", "requeued, the job goes on with what it has not finished"
    leave("slurm-17-2", "finished")
    assert name(2) == "slurm-17", "and otherwise finds what it has done"


def test_without_a_scheduler_the_time_and_chance_name_the_run() -> None:
    names = {new_run_id({}) for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{4}", name) for name in names)


def test_directory_of_a_run_is_root_name_id() -> None:
    config = RunConfig(root="there", name="question", id="mine")
    assert run_directory(config, ENVIRONMENTS["slurm-17"]) == Path("there/question/mine")
    config.id = None
    assert run_directory(config, ENVIRONMENTS["slurm-17"]) == Path("there/question/slurm-17")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"value": 1})

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert json.loads(path.read_text()) == {"value": 1}
    with pytest.raises(TypeError):
        write_json(path, {"value": object()})
    assert json.loads(path.read_text()) == {"value": 1}
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"step": 1}, path)

    def full_disk(content: object, target: BinaryIO) -> None:
        target.write(b"PK half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        writer.save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert os.listdir(path.parent) == ["last.ckpt"]


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": -float("inf")}})
    assert read_json(tmp_path / "a.json") == {"a": None, "b": [None, 1.5], "c": {"d": None}}


def test_a_finished_run_leaves_everything(finished_run: Path) -> None:
    files = {str(file.relative_to(finished_run)) for file in finished_run.rglob("*") if file.is_file()}
    assert files >= {
        "config.yaml",
        "overrides.yaml",
        "run.json",
        "result.json",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
        "figures/decision_regions_test.png",
    }
    assert sum("events.out.tfevents" in name for name in files) >= 1
    hidden = {name for name in files if Path(name).name.startswith(".")}
    assert hidden <= {".lock", ".lock.owner"}, "no temporary file is left"
    record = read_json(finished_run / "run.json")
    assert record["status"] == Status.finished
    assert record["seeds"] == {"data": 0, "init": 0, "train": 0}
    assert record["pid"] == os.getpid()
    assert record["versions"]["torch"] == torch.__version__
    assert record["seconds"] > 0
    assert record["started"] <= record["ended"]
    if record["git"] is not None:
        assert re.fullmatch(r"[0-9a-f]{40}", record["git"]["commit"])
        assert isinstance(record["git"]["dirty"], bool)
    assert "data.label_noise=0.2" in yaml.safe_load((finished_run / "overrides.yaml").read_text())
    config = restore(read_config(finished_run), "config.yaml")
    assert config.data.label_noise == 0.2


def test_a_package_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "gaplab":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(provenance, "version", version)
    assert provenance._versions.__wrapped__().keys() == {*provenance.PACKAGES} - {"gaplab"}


ENDS = [
    (DivergedError("the loss", 7), Status.diverged, DivergedError),
    (KeyboardInterrupt(), Status.preempted, KeyboardInterrupt),
    (SystemExit(1), Status.preempted, KeyboardInterrupt),
    (RuntimeError("out of memory"), Status.failed, RuntimeError),
]


@pytest.mark.parametrize(("error", "status", "raised"), ENDS)
def test_status_tells_how_a_run_ended(
    error: BaseException, status: Status, raised: type[BaseException], quick: Compose, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.open(quick())
    assert read_json(run.path / "run.json")["status"] == Status.running

    def fail() -> None:
        with run.recorded():
            raise error

    with pytest.raises(raised):
        fail()
    record = read_json(run.path / "run.json")
    assert record["status"] == status
    assert record.get("diverged_at_step") == (7 if status == Status.diverged else None)
    assert record["error"]


def test_only_the_writing_process_touches_the_directory(quick: Compose, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run", writes=False)
    run.open(quick())
    run.mark(Status.finished)
    assert not run.path.exists()


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"status": "runn'])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match="run.json: expected"):
        read_json(tmp_path / "run.json")


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "a: !!python/object/apply:os.system ['true']"])
def test_a_damaged_configuration_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ConfigError, match="config.yaml: expected"):
        read_config(tmp_path)


def test_yaml_keeps_the_order_of_the_sections(tmp_path: Path) -> None:
    write_yaml(tmp_path / "a.yaml", {"z": 1, "a": [1, 2]})
    assert (tmp_path / "a.yaml").read_text() == "z: 1\na:\n- 1\n- 2\n"


def test_parts_of_yaml_files_are_told_apart_by_type(tmp_path: Path) -> None:
    values = [
        1,
        1.0,
        True,
        "1",
        "true",
        None,
        "null",
        [],
        {},
        math.nan,
        {"a": [1, {"b": "\n"}]},
        "\x7f: ",
        "",
    ]
    for name, order in (("a", values), ("b", values[::-1])):
        content = {"same key": 0, **{f"key {place}": value for place, value in enumerate(order)}}
        write_yaml(tmp_path / f"{name}.yaml", content)
        text = (tmp_path / f"{name}.yaml").read_text()
        assert text == yaml.safe_dump(content, sort_keys=False)
        assert repr(yaml.safe_load(text)) == repr(content)
    for value in values:
        write_yaml(tmp_path / "c.yaml", {"key": value})
        assert repr(yaml.safe_load((tmp_path / "c.yaml").read_text())) == repr({"key": value})


def test_a_run_directory_that_cannot_be_written_is_named(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open

    def refuse(path: Any, *arguments: Any) -> int:
        if Path(path).name == ".lock":
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments)

    shutil.copytree(finished_run, tmp_path / "run")
    monkeypatch.setattr("gaplab.storage.locking.os.open", refuse)
    with pytest.raises(
        ConfigError, match=r"^run.root: expected a folder that can be written, but .*Permission denied"
    ):
        plan_resumption(tmp_path / "run", ["trainer.max_steps=30"])
