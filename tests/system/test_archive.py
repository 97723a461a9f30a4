"""One file says what a run was, and in what another run differs from it."""

import json
import shutil
from pathlib import Path

import pytest

from gaplab.archive import main, unpacked
from gaplab.config.compose import compose_config
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
