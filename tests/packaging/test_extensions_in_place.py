"""Whoever lists the extension of the README in the checkout keeps a green suite, and a ``--help`` without torch."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gaplab.config.registry import PROJECT_ROOT

PAGES = (PROJECT_ROOT / "README.md", PROJECT_ROOT / "docs" / "tasks.md")
LISTED = "\n[tool.gaplab]\nextensions = [{names}]\n"
SUITE = (
    *("tests/test_import_order.py", "tests/config", "tests/builders/test_registered_builders.py"),
    *(
        "tests/data/test_datamodule.py",
        "tests/packaging/test_project_pages.py",
        "tests/system/test_extensions.py",
    ),
    *("tests/sweeps/test_vectorized_launcher.py", "tests/tasks/test_losses_task.py"),
)
"""What looks at choices, pages, imports and child processes."""


def written(folder: Path) -> list[str]:
    """Write every file that the pages show, and return their names without ``.py``."""
    found = [
        match
        for page in PAGES
        for match in re.findall(r"```python\n(# (\w+)\.py\n.*?)```", page.read_text(), flags=re.DOTALL)
    ]
    for source, name in found:
        (folder / f"{name}.py").write_text(source)
    return [name for _, name in found]


def list_extensions(folder: Path, names: list[str]) -> None:
    with (folder / "pyproject.toml").open("a") as file:
        file.write(LISTED.format(names=", ".join(f'"{name}"' for name in names)))


def interpreter(folder: Path, source: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(source)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_help_offers_the_data_of_the_readme_without_importing_torch(tmp_path: Path) -> None:
    assert "my_points" in written(tmp_path)
    list_extensions(tmp_path, ["my_points"])
    code = "import sys; from gaplab.cli import main; main()"
    ends = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, 'lightning' in sys.modules)); "
    done = interpreter(tmp_path, PROJECT_ROOT / "src", "-c", ends + code, "--help")
    assert done.returncode == 0, done.stderr
    assert "moons" in done.stdout
    assert done.stdout.splitlines()[-1] == "False False"


@pytest.mark.thorough
def test_the_suite_is_green_with_the_extension_of_the_readme_in_place(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    shutil.copytree(
        PROJECT_ROOT,
        copy,
        ignore=shutil.ignore_patterns(".git", ".venv*", "logs", "*_cache", "__pycache__", "site"),
    )
    assert set(written(copy)) == {"my_points", "my_parts", "my_task"}
    list_extensions(copy, ["my_points"])  # the others import torch at their head, as whoever lists them sees
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not thorough", *SUITE)
    done = interpreter(copy, copy / "src", *words)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
