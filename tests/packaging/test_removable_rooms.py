"""What a user may delete: the package trains without it."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from quick_runs import QUICK
from running import PROJECT, finished


@pytest.mark.thorough
def test_the_package_trains_without_phenomena_gans_and_study(tmp_path: Path) -> None:
    source = tmp_path / "src"
    gone = (
        "phenomena",
        *("gan.py", "gan_*.py", "gans.py", "law_scores.py", "samples.py", "generative"),
        *("ranking*.py", "published_ranking.py", "pair_counts.py", "study_scores.py"),
    )
    shutil.copytree(
        PROJECT / "src", source, ignore=shutil.ignore_patterns(*gone, "__pycache__", "*.egg-info")
    )
    shutil.copytree(PROJECT / "configs", tmp_path / "configs")
    shutil.copy(PROJECT / "train.py", tmp_path)
    assert not (source / "gaplab" / "phenomena").exists()
    assert not list(source.rglob("gan*.py"))
    words = [sys.executable, "train.py", *QUICK, "run.id=one"]
    command = finished(words, tmp_path / "log", {"PYTHONPATH": str(source)}, fresh=True)
    assert command.process.returncode == 0, command.output
    record = json.loads((tmp_path / "logs" / "default" / "one" / "run.json").read_text())
    assert record["status"] == "finished"
