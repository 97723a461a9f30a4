"""Every command of the README runs, and its extension is one."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gaplab.builders import build_data_and_task
from gaplab.config.compose import compose_config
from gaplab.config.registry import PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [line.split("  #")[0].strip() for block in blocks("bash") for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes the place of ``logs``; the commands build on each other in the order of the README."""
    return tmp_path_factory.mktemp("readme")


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, folder: Path) -> None:
    words = shlex.split(re.sub(r"\s{2,}.*", "", command).replace("logs/", f"{folder}/"))
    if words[0] == "make":
        target = subprocess.run(["make", "-n", words[1]], cwd=PROJECT_ROOT, capture_output=True, text=True)
        assert target.returncode == 0, target.stderr
        return
    assert words[0] == "python", f"the README names another program: {command}"
    resumes = any(word.startswith("resume=") for word in words)
    fresh = words[1] == "train.py" and not resumes and not {"--help", "--cfg"} & set(words)
    done = subprocess.run(
        [sys.executable, *words[1:], *([f"run.root={folder}"] if fresh else [])],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_extension_of_the_readme_is_a_choice() -> None:
    source = next(block for block in blocks("python") if "register(" in block)
    exec(compile(source, "my_points.py", "exec"), {"__name__": "my_points"})
    data, task = build_data_and_task(
        compose_config(["data=moons", "data.noise=0.2", "data.num_points=50", "data.batch_size=10"]).config
    )
    assert data.splits["train"].points.shape == (50, 2)
    assert task(data.splits["train"].points).shape == (50, 2)


def test_the_extension_of_the_readme_keeps_every_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = next(block for block in blocks("python") if "register(" in block)
    (tmp_path / "my_points.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    exec(next(block for block in blocks("python") if "check_choice(" in block), {})
