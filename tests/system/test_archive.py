"""One file says what a run was, and in what another run differs from it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset, default_collate

import lightning_projects
from gaplab import register
from gaplab.archive import data_hashes, main, unpacked
from gaplab.config.compose import compose_config
from gaplab.config.data import DataConfig
from gaplab.config.registry import CHOICES
from gaplab.train import run_one
from quick_runs import DRAWN, QUICK


@pytest.fixture(scope="module")
def archive(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("archive") / "run.tar.gz"
    main([str(finished_run), "--output", str(file)])
    return file


def differing(archive: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["--check", str(archive), str(run)])
    assert left.value.code == 1
    return capsys.readouterr().out.splitlines()


def test_it_holds_what_the_run_was_and_is_the_same_twice(
    archive: Path, finished_run: Path, tmp_path: Path
) -> None:
    names = unpacked(archive).keys()
    assert {"config.yaml", "run.json", "result.json", "data.json", "provenance/packages.txt"} <= names
    assert set(json.loads(unpacked(archive)["data.json"])) == {"train", "val", "test"}
    main([str(finished_run), "--output", str(tmp_path / "again.tar.gz")])
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()


def test_the_run_and_its_repetition_are_what_the_archive_holds(
    archive: Path, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--check", str(archive), str(finished_run)])
    run_one(
        compose_config([*QUICK, *DRAWN, "data.label_noise=0.2", f"run.root={tmp_path}"]), tmp_path / "again"
    )
    main(["--check", str(archive), str(tmp_path / "again")])
    assert capsys.readouterr().out.count("is what") == 2


def test_what_differs_is_said(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_one(compose_config([*QUICK, *DRAWN, "data.label_noise=0.2", "data.noise=0.3"]), tmp_path / "noisy")
    lines = differing(archive, tmp_path / "noisy", capsys)
    assert any(line.startswith("config.yaml, data.noise: ") and "0.3 in the run" in line for line in lines)
    assert any(line.startswith("result.json, last.loss/test: ") for line in lines)
    assert any(line.startswith("data.json, train: ") for line in lines)


def test_changed_versions_and_lost_sources_are_said(
    archive: Path, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "changed"
    shutil.copytree(finished_run, run)
    record = json.loads((run / "run.json").read_text())
    record["versions"]["torch"], record["host"] = "1.0", "elsewhere"
    (run / "run.json").write_text(json.dumps(record))
    (run / "provenance" / "packages.txt").unlink()
    lines = differing(archive, run, capsys)
    assert [line.split(": ")[0] for line in lines] == ["provenance/packages.txt", "run.json, versions.torch"]


class Lazy(Dataset[Any]):
    """Classes beside points that are read one at a time, with noise of the global generator."""

    def __init__(self, number: int, shift: float = 0.0) -> None:
        self.number, self.shift = number, shift

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, row: int) -> Any:
        return torch.tensor([row + self.shift, 1.0]) + torch.rand(2), row % 2


@dataclass(kw_only=True, slots=True)
class LazyConfig(DataConfig):
    shift: float = 0.0

    def build(self, stream: Any) -> Any:
        return {"train": Lazy(530), "test": Lazy(20, self.shift)}


def test_what_datasets_read_lazily_is_hashed_as_it_is_measured() -> None:
    register("data", "lazy", LazyConfig)
    try:
        one, again, workers, moved, reseeded = (
            data_hashes(compose_config(["data=lazy", "trainer.accelerator=cpu", *words]).config)
            for words in ((), (), ("data.num_workers=1",), ("data.shift=1e-3",), ("data_seed=1",))
        )
    finally:
        CHOICES["data"].pop("lazy")
    assert one == again == workers
    assert one.keys() == {"train", "test"}
    assert (one["train"] == moved["train"], one["test"] == moved["test"]) == (True, False)
    assert one["train"] != reseeded["train"]


PROJECT = [
    "task=lightning",
    "task.module=lightning_projects.Net",
    "task.datamodule=lightning_projects.BlobsDM",
]


@pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`:UserWarning")  # beside the object
def test_a_project_is_hashed_through_its_loaders_and_what_cannot_be_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*PROJECT, "trainer.max_epochs=1", "trainer.accelerator=cpu", "trainer.progress_bar=false"]
    run_one(compose_config([*words, "logging.pictures=false"]), tmp_path / "run")
    monkeypatch.delenv("GAPLAB_MODULES", raising=False)
    command, file = [str(tmp_path / "run"), *PROJECT[1:]], tmp_path / "run.tar.gz"
    main(command)
    hashes = json.loads(unpacked(file)["data.json"])
    assert set(hashes) == {"train", "val", "test"}
    assert {len(digest) for digest in hashes.values()} == {64}
    main([*command, "--check", str(file)])
    assert "is what" in capsys.readouterr().out
    fewer = compose_config([*words, "task.datamodule_args.num_train=69"]).config
    differing = data_hashes(fewer)
    assert [name for name in hashes if hashes[name] != differing[name]] == ["train"]

    loader, step = lightning_projects.BlobsDM._loader, lightning_projects.Net.validation_step
    monkeypatch.setattr(
        lightning_projects.BlobsDM,
        "_loader",
        lambda self, data, **settings: loader(self, data, collate_fn=with_object, **settings),
    )
    monkeypatch.setattr(
        lightning_projects.Net, "validation_step", lambda self, batch, number: step(self, batch[:2], number)
    )
    main(command)
    assert json.loads(unpacked(file)["data.json"])["val"] == "not hashed: its batches hold objects of Origin"
    main([*command, "--check", str(file)])
    answer = capsys.readouterr().out
    assert (
        "data.json, val: not hashed: its batches hold objects of Origin, so this check cannot tell" in answer
    )


class Origin:
    """What no hash is known of."""


def with_object(rows: list[Any]) -> Any:
    return (*default_collate(rows), Origin())


def test_mistakes_end_with_a_sentence(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.tar.gz").write_text("no archive")
    for words in (
        [str(tmp_path)],
        [str(finished_run), "seed=1"],
        ["--check", str(tmp_path / "text.tar.gz"), str(finished_run)],
    ):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        assert "expected" in capsys.readouterr().err
