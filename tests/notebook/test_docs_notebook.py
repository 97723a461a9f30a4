"""The notebook of the docs: every cell runs, from top to bottom."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from gaplab.notebook.process_settings import process_settings_kept
from running import PROJECT

NOTEBOOK = PROJECT / "docs" / "notebook.ipynb"


def test_every_cell_runs_and_the_sizes_tell_the_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    cells = ["".join(cell["source"]) for cell in _code_cells()]
    names: dict[str, Any] = {}
    assert "trainer.max_steps=2000" in cells[0]
    with process_settings_kept():
        for cell in cells:
            exec(compile(cell.replace("max_steps=2000", "max_steps=100"), str(NOTEBOOK), "exec"), names)
    assert len(plt.get_fignums()) == 1
    plt.close("all")
    printed = capsys.readouterr().out
    assert all(f"{number:4} training points: gap" in printed for number in (100, 300, 900))
    assert len(names["found"]) > 5
    gap = names["first"].scores["gap/loss"]
    assert gap == names["first"].scores["loss/test"] - names["first"].scores["loss/train"]


def test_the_outputs_that_are_kept_belong_to_the_cells() -> None:
    """A picture, and no path of a machine."""
    outputs = [output for cell in _code_cells() for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert "/tmp/" not in json.dumps(outputs)


def _code_cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
