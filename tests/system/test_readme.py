"""Every command of the README runs, and its extension is one."""

import re
import shlex
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from gaplab.builders import build_data_and_task
from gaplab.config.compose import compose_config
from gaplab.config.registry import PROJECT_ROOT
from running import TRAIN, finished

README = (PROJECT_ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [line.split("  #")[0].strip() for block in blocks("bash") for line in block.splitlines() if line]


LOGS = count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes the place of the checkout; the commands build on each other in the order of the README."""
    folder = tmp_path_factory.mktemp("readme") / "checkout"
    folder.mkdir()
    return folder


FEWER = ["network.widths=[24,24],[48,48]", "data.batch_size=32", "optimizer.weight_decay=0.0", "seed=0,1"]
"""Sixteen of the 256 runs of the small study."""


def shortened(words: list[str]) -> list[str]:
    """Return a command that takes fewer steps, on fewer points, in fewer runs."""
    large = re.compile(r"(?<=^trainer\.max_steps=)\d+$|(?<=^data\.num_points=)\d+$")
    words = [large.sub(lambda found: str(max(20, int(found[0]) // 10)), word) for word in words]
    words = [
        "measures=capacity" if word == "measures=full" else word for word in words
    ]  # test_measures.py has it
    words = ["seed=range(0,4)" if word.startswith("seed=range") else word for word in words]
    given = {word.partition("=")[0] for word in words}
    if words[1] != "train.py" or {"--help", "--cfg", "resume"} & given or "phenomena" in " ".join(words):
        return words
    wanted = {"trainer.max_steps": "20", "data.num_test_points": "500", "logging.pictures": "false"}
    if given & {"data", "task"}:  # which may have no such points
        del wanted["data.num_test_points"]
    if any(word.startswith("experiment=gan") for word in words):
        wanted |= dict.fromkeys(("task.num_samples", "data.num_val_points", "data.num_test_points"), "200")
    if "experiment=generalization_study_small" in words:
        words = words + FEWER
    return words + [f"{key}={value}" for key, value in wanted.items() if key not in given]


@pytest.mark.thorough
@pytest.mark.parametrize("command", COMMANDS)
def test_command_as_it_stands(command: str, folder: Path) -> None:
    run(shlex.split(re.sub(r"\s{2,}.*", "", command)), folder, fresh=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, folder: Path) -> None:
    run(shortened(shlex.split(re.sub(r"\s{2,}.*", "", command))), folder)


def run(words: list[str], folder: Path, fresh: bool = False) -> None:
    if words[0] == "make":
        target = subprocess.run(["make", "-n", words[1]], cwd=PROJECT_ROOT, capture_output=True, text=True)
        assert target.returncode == 0, target.stderr
        return
    assert words[0] == "python", f"the README names another program: {words}"
    words = [*TRAIN, *words[2:]] if words[1] == "train.py" else [sys.executable, *words[1:]]
    done = finished(words, folder / f"{next(LOGS)}.txt", seconds=900, fresh=fresh)
    assert done.process.returncode == 0, done.output


def test_the_lightning_project_of_the_docs(tmp_path: Path) -> None:
    page = (PROJECT_ROOT / "docs" / "lightning_projects.md").read_text()
    source, _ = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "mypkg.py").write_text(source)
    commands = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)[0].splitlines()
    (command,) = (block.strip() for block in blocks("sh") if "task=lightning" in block)
    assert command in commands[0]
    for line in commands:
        words = shlex.split(line.replace("train.py", str(PROJECT_ROOT / "train.py")))[1:]
        done = finished([sys.executable, *words], tmp_path / f"{next(LOGS)}.txt")
        assert done.process.returncode == 0, done.output
    assert "gap/acc" in done.output


def test_the_extension_of_the_readme_is_a_choice() -> None:
    source = next(block for block in blocks("python") if "register(" in block)
    exec(compile(source, "my_points.py", "exec"), {"__name__": "my_points"})
    data, task = build_data_and_task(
        compose_config(["data=moons", "data.noise=0.2", "data.num_points=50", "data.batch_size=10"]).config
    )
    assert data.splits["train"].points.shape == (50, 2)
    assert task(data.splits["train"].points).shape == (50, 2)


@pytest.mark.thorough
def test_the_extension_of_the_readme_keeps_every_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = next(block for block in blocks("python") if "register(" in block)
    (tmp_path / "my_points.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    exec(next(block for block in blocks("python") if "check_choice(" in block), {})


def test_network_callback_and_optimizer_of_the_readme(tmp_path: Path) -> None:
    source = next(block for block in blocks("python") if block.startswith("# my_parts.py"))
    (tmp_path / "my_parts.py").write_text(source)
    command = next(line for line in "".join(blocks("sh")).splitlines() if "my_parts.py" in line)
    words = [*TRAIN, *shlex.split(command)[2:], "run.id=mine"]
    quick = ["trainer.max_steps=20", "data.num_test_points=500", "logging.pictures=false"]
    done = finished([*words, *quick], tmp_path / "log.txt")
    assert done.process.returncode == 0, done.output
    assert "weight_norm" in (tmp_path / "logs" / "default" / "mine" / "metrics.csv").read_text()


def test_the_task_of_the_readme_is_that_of_its_page() -> None:
    (core,) = blocks("py")
    assert core in (PROJECT_ROOT / "docs" / "tasks.md").read_text()
