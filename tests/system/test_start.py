"""How the processes of runs and sweeps start: beside each other, and each with quick imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gaplab.process.devices import may_have_gpu

ROOT = Path(__file__).parents[2]
WATCH = """\
import gc, json, os, sys
from pathlib import Path

MODULES = {"gaplab.sweeps.worker_main", "gaplab.launch.rank_main"}
folder, started, seen = Path(os.environ["WATCH_FOLDER"]), [], []


def watch(event, arguments):
    if event == "subprocess.Popen" and MODULES & set(arguments[1]):
        started.append(arguments[1])
    elif event == "import" and arguments[0] == "torch" and not seen:
        seen.append(True)
        note = {"collects": gc.isenabled(), "started": len(started)}
        (folder / f"{os.getpid()}.json").write_text(json.dumps(note))


sys.addaudithook(watch)
"""


def notes_of(tmp_path: Path, words: str) -> list[dict[str, int]]:
    """What the processes of a command looked like when they began to load Torch."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    notes = tmp_path / "notes"
    notes.mkdir()
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    environment = os.environ | {"PYTHONPATH": path, "WATCH_FOLDER": str(notes)}
    given = [*words.split(), "trainer.max_steps=1", "data.num_test_points=10"]
    command = [sys.executable, "train.py", f"run.root={tmp_path / 'runs'}", *given]
    subprocess.run(
        [*command, "trainer.progress_bar=false", "logging.pictures=false"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    return sorted(
        (json.loads(file.read_text()) for file in notes.iterdir()), key=lambda note: note["started"]
    )


@pytest.mark.skipif(may_have_gpu(), reason="only Torch knows how many GPUs there are")
@pytest.mark.parametrize(
    ("words", "started"),
    [
        ("-m seed=0,1 hydra/launcher=vectorized hydra.launcher.processes=2", [0, 1]),
        ("-m seed=0,1 hydra/launcher=pool hydra.launcher.num_workers=2", [0, 0, 2]),
        ("-m seed=0,1 hydra/launcher=basic", [0]),
        ("trainer.devices=2", [0, 1]),
        ("seed=0", [0]),
    ],
)
def test_processes_load_torch_beside_each_other_and_the_collector_rests(
    words: str, started: list[int], tmp_path: Path
) -> None:
    notes = notes_of(tmp_path, words)
    assert [note["started"] for note in notes] == started, "workers start before Torch is loaded"
    assert not any(note["collects"] for note in notes), "Torch is loaded within quick_imports"
