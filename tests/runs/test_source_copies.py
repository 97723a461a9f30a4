"""What a run keeps of the code that made it."""

import subprocess
from pathlib import Path

import pytest

from gaplab.config import extensions
from gaplab.config.extensions import check_offered, load_files
from gaplab.errors import ConfigError
from gaplab.runs import provenance
from gaplab.runs.provenance import git_state
from gaplab.runs.source_copies import write_sources


def git(folder: Path, *words: str) -> None:
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@example.org", *words]
    subprocess.run(command, check=True, capture_output=True)


def test_untracked_files_make_a_repository_dirty(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    clean = git_state(tmp_path)
    assert clean is not None
    assert clean["dirty"] is False
    (tmp_path / "mine.py").write_text("2\n")
    git_state.cache_clear()
    assert git_state(tmp_path) == {"commit": clean["commit"], "dirty": True, "untracked": ["mine.py"]}


def test_a_clone_of_somebody_else_has_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own tests play a stranger with it
    assert git_state(tmp_path) is None, "a folder of the user's is git's to refuse"
    git_state.cache_clear()
    monkeypatch.setattr(provenance, "PROJECT_ROOT", tmp_path)
    state = git_state(tmp_path)
    git_state.cache_clear()
    assert state is not None
    assert len(state["commit"]) == 40


def test_runs_keep_extensions_and_share_what_is_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "_sources", {})
    monkeypatch.setenv(extensions.LOADED, "")
    (tmp_path / "kept_choice.py").write_text("ANSWER = 42\n")
    load_files([str(tmp_path / "kept_choice.py")], "extensions")
    for name in ("a", "b"):
        write_sources(tmp_path / name)
    first, second = (tmp_path / name / "provenance" for name in ("a", "b"))
    assert (first / "extensions" / "kept_choice.py").read_text() == "ANSWER = 42\n"
    assert "torch==" in (second / "packages.txt").read_text()
    assert (first / "packages.txt").samefile(second / "packages.txt")
    with pytest.raises(ConfigError, match=r"made with data=gone, which nothing offers here.*kept_choice.py"):
        check_offered({"data": "gone"}, str(tmp_path / "a" / "config.yaml"))
