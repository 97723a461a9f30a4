"""What a user may delete: the package trains without it."""

import json
import shutil
import sys
from pathlib import Path

from quick_runs import QUICK
from running import PROJECT, finished


def test_the_package_trains_without_the_phenomena(tmp_path: Path) -> None:
    source = tmp_path / "src"
    shutil.copytree(
        PROJECT / "src", source, ignore=shutil.ignore_patterns("phenomena", "__pycache__", "*.egg-info")
    )
    shutil.copytree(PROJECT / "configs", tmp_path / "configs")
    shutil.copy(PROJECT / "train.py", tmp_path)
    gone = {"PYTHONPATH": str(source)}
    assert not (source / "gaplab" / "phenomena").exists()
    words = [sys.executable, "train.py", *QUICK, "run.id=one"]
    command = finished(words, tmp_path / "log", gone, fresh=True)
    assert command.process.returncode == 0, command.output
    record = json.loads((tmp_path / "logs" / "default" / "one" / "run.json").read_text())
    assert record["status"] == "finished"
