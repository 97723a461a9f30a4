"""The wheel, installed where nothing of the checkout can be seen, trains from any folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from quick_runs import QUICK
from running import PROJECT, finished

PARTS = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "src", "configs")
OWN = """# @package _global_
# What do my own points say?
extensions: [my_points.py]
defaults:
  - override /data: half_planes
"""
POINTS = """
from dataclasses import dataclass

from gaplab import register
from gaplab.config.data import DataConfig


@dataclass(kw_only=True, slots=True)
class HalfPlanesConfig(DataConfig):
    def build(self, stream):
        import torch

        def draw(split, num_points):
            points = torch.randn(num_points, 2, generator=stream(split))
            return points, (points[:, 0] > 0).long()

        return draw, 2


register("data", "half_planes", HalfPlanesConfig)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in PARTS:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    answer = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(source)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_source_and_every_configuration(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    sources = [
        file for file in (PROJECT / "src").rglob("*") if file.is_file() and ".egg-info" not in str(file)
    ]
    ours = {
        file.relative_to(PROJECT / "src").as_posix() for file in sources if "__pycache__" not in file.parts
    }
    ours |= {
        f"gaplab/{file.relative_to(PROJECT).as_posix()}" for file in (PROJECT / "configs").rglob("*.yaml")
    }
    assert ours <= held


@pytest.mark.thorough
def test_it_trains_in_an_environment_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    bin = environment / ("Scripts" if os.name == "nt" else "bin")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(bin / "python"),
        "install",
        "--quiet",
        "--no-deps",
    ]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, capture_output=True)
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "torch_and_others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")

    project = tmp_path / "anywhere"
    (project / "configs" / "experiment").mkdir(parents=True)
    (project / "configs" / "experiment" / "mine.yaml").write_text(OWN)
    (project / "my_points.py").write_text(POINTS)
    plain = {"PYTHONPATH": ""}
    shown = finished([str(bin / "gaplab"), "--help"], project / "help.txt", plain)
    assert "What do my own points say?" in shown.output
    assert "notebook_relu" in shown.output
    words = [str(bin / "gaplab"), "-m", "seed=0,1", "experiment=mine", *QUICK]
    sweep = finished(words, project / "log.txt", plain)
    assert sweep.process.returncode == 0, sweep.output
    runs = sorted((project / "logs").glob("*/*/config.yaml"))
    assert [yaml.safe_load(run.read_text())["choices"]["data"] for run in runs] == ["half_planes"] * 2
