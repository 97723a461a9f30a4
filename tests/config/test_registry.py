"""A network and a data set of the user's own, registered from outside the package."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from gaplab.config.compose import compose_config
from gaplab.config.extensions import load_extensions
from gaplab.errors import ConfigError
from quick_runs import QUICK

EXTENSION = """
from dataclasses import dataclass

import torch
from torch import nn

from gaplab import register
from gaplab.config.data import DataConfig
from gaplab.config.network import NetworkConfig


@dataclass(kw_only=True, slots=True)
class QuadraticConfig(NetworkConfig):
    scale: float = 1.0


class Quadratic(nn.Module):
    def __init__(self, in_features, out_features, scale, generator):
        super().__init__()
        self.weight = nn.Parameter(scale * torch.randn(out_features, in_features, generator=generator))

    def forward(self, points):
        return points.square() @ self.weight.T


@dataclass(kw_only=True, slots=True)
class StripesConfig(DataConfig):
    num_stripes: int = 4


def build_stripes(config, stream):
    def draw(split, num_points):
        points = torch.rand(num_points, 2, generator=stream(split))
        return points, (points[:, 0] * config.num_stripes).long() % 2

    return draw, 2


def build_quadratic(config, in_features, out_features, generator):
    return Quadratic(in_features, out_features, config.scale, generator)


register("network", "quadratic", QuadraticConfig, build_quadratic)
register("data", "stripes", StripesConfig, build_stripes)
"""

PROGRAM = """
from pathlib import Path
from gaplab.cli import main
main()
from gaplab.builders.load_run import load_run
run = load_run(next(Path("logs").glob("*/mine")))
print(type(run.config.data).__name__, type(run.task.network).__name__, run.config.network.scale)
"""


def test_an_extension_is_trained_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "my_extension.py").write_text(EXTENSION)
    (tmp_path / "pyproject.toml").write_text('[tool.gaplab]\nextensions = ["my_extension"]\n')
    quick = [word for word in QUICK if not word.startswith("network.")]
    words = ["network=quadratic", "network.scale=0.5", "data=stripes", "data.num_stripes=6", "run.id=mine"]
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *quick, *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "StripesConfig Quadratic 0.5"


def test_an_extension_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[tool.gaplab]\nextensions = ["no_such_extension"]\n')
    with pytest.raises(ConfigError, match="pyproject.toml.*'no_such_extension' gave: No module"):
        load_extensions(pyproject)
    load_extensions(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[tool.gaplab", "pyproject.toml: expected readable TOML"),
        ('[tool.gaplab]\nextensions = "mine"', "expected a list of modules, .* but got 'mine'"),
    ],
)
def test_a_project_file_that_cannot_be_used_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_extensions(tmp_path / "pyproject.toml")


def test_a_mistake_inside_an_extension_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.gaplab]\nextensions = ["half_written"]\n')
    (tmp_path / "half_written.py").write_text("import math\n\nmath.tau.nothing\n")
    with pytest.raises(ConfigError, match="'half_written' gave: AttributeError: .*'nothing' in line 3"):
        load_extensions(tmp_path / "pyproject.toml")


def test_compositions_share_the_store_and_leave_it_as_it_is() -> None:
    words = ["data=ring", "task=gan", "task.r1=0.5"]
    compose_config(words)  # Hydra's plugins put their own into the store at the first composition
    store = ConfigStore.instance()
    before = copy.deepcopy(vars(store)["repo"])
    shared = compose_config(words).resolved
    assert copy.deepcopy(store) is store
    own = vars(store).pop("__deepcopy__")
    try:
        assert compose_config(words).resolved == shared
    finally:
        vars(store)["__deepcopy__"] = own
    assert vars(store)["repo"] == before
