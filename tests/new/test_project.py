"""A new project trains, its tests pass, and nothing is written where it cannot stand."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gaplab.errors import ConfigError
from gaplab.new.__main__ import main
from gaplab.new.project import TEMPLATES, make_project
from running import finished

FEW = "trainer.max_steps=20 data.num_test_points=200 trainer.progress_bar=false logging.pictures=false"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "mypaper"
    main([str(folder)])
    return folder


def made(project: Path, target: str, arguments: str) -> list[str]:
    """Return the command that a target of the project's Makefile stands for."""
    words = ["make", "-n", target, f"PYTHON={sys.executable}", f"ARGS={arguments}"]
    # A make that runs the tests hands its own flags down.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    answer = subprocess.run(words, cwd=project, capture_output=True, text=True, check=True, env=environment)
    return shlex.split(answer.stdout)


@pytest.mark.parametrize("really", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_its_own_tests_pass_and_make_train_trains(
    tmp_path_factory: pytest.TempPathFactory, really: bool
) -> None:
    """Really: by make, with interpreters of their own."""
    project = tmp_path_factory.mktemp("trained") / "mypaper"
    main([str(project)])
    for target, arguments in (("test", "-q -p no:cacheprovider"), ("train", FEW)):
        by_make = ["make", target, f"PYTHON={sys.executable}", f"ARGS={arguments}"]
        words = by_make if really else made(project, target, arguments)
        command = finished(words, project / f"{target}.log")
        assert command.process.returncode == 0, command.output
    assert "3 passed" in (project / "test.log").read_text()
    (run,) = (project / "logs" / "first").iterdir()
    assert {file.name for file in (run / "provenance" / "extensions" / "mypaper").iterdir()} == {
        "__init__.py",
        "network.py",
        "points.py",
        "task.py",
    }


def test_its_choices_are_offered_without_torch(project: Path) -> None:
    code = (
        "import sys\nfrom gaplab.config.help import overview\ntext = overview()\n"
        "assert all(word in text for word in ('stripes', 'fourier', 'focal', 'first')), text\n"
        "assert 'torch' not in sys.modules"
    )
    source = str(Path(__file__).parents[2] / "src")
    subprocess.run(
        [sys.executable, "-c", code], cwd=project, check=True, env={**os.environ, "PYTHONPATH": source}
    )


def test_every_template_is_written_and_well_formed(project: Path) -> None:
    names = {file.name for file in TEMPLATES.rglob("*") if file.is_file()}
    assert all(name.endswith(".template") for name in names)
    written = {
        file
        for file in project.rglob("*")
        if file.is_file() and not {"logs", "__pycache__"} & set(file.parts) and file.suffix != ".log"
    }
    assert {file.name for file in written} == {
        {"gitignore.template": ".gitignore"}.get(name, name.removesuffix(".template")) for name in names
    }
    assert not [file for file in written if "{{" in file.read_text()]
    assert "/logs/" in (project / ".gitignore").read_text()
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["check"], ["format", "--check"]):
        answer = subprocess.run(
            [ruff, *words, "--no-cache", "."], cwd=project, capture_output=True, text=True
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_an_empty_folder_stays_the_one_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mypaper"
    folder.mkdir()
    before = folder.stat().st_ino
    monkeypatch.chdir(folder)
    make_project(Path("."))
    assert folder.stat().st_ino == before
    assert (folder / "mypaper" / "__init__.py").is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == ["mypaper"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("my-paper", "name that a Python module can have.*Try my_paper"),
        ("class", "name that a Python module can have.*Try my_class"),
        ("2026", "name that a Python module can have.*Try my_2026"),
        ("torch", "name of its own.*Try my_torch"),
        ("statistics", "name of its own.*Try my_statistics"),
        ("tests", "name of its own.*Try my_tests"),
    ],
)
def test_a_name_that_cannot_be_imported_is_refused(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make_project(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    (tmp_path / "taken").write_text("a file")
    for name in ("full", "taken"):
        with pytest.raises(SystemExit, match="2"):
            main([str(tmp_path / name)])
        assert "expected an empty folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "taken", "thesis.tex"]


def test_what_cannot_be_written_whole_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def write(self: Path, text: str) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(self)
        return original(self, text)

    original = Path.write_text
    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(ConfigError, match="can be written, but: No space left"):
        make_project(tmp_path / "mypaper")
    assert not list(tmp_path.iterdir())
