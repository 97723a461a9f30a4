"""The order of the rooms: who may import whom, and what stays out of the first second of a command."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "gaplab"
ORDER = (
    ("errors", "randomness"),
    ("new",),
    ("config", "storage"),
    ("process",),
    ("data", "networks", "losses", "metrics", "figures", "tensorboard"),
    ("distributed",),
    ("tasks",),
    ("runs",),
    ("reports",),
    ("callbacks",),
    ("builders",),
    ("phenomena", "stacked"),
    ("train",),
    ("launch",),
    ("sweeps",),
    ("archive", "evaluate", "look", "reference", "report", "cli"),
    ("notebook",),
    ("testing",),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
LEAVES = {"data", "networks", "losses", "metrics", "figures"}
BANNED_NAMES = {"utils", "helpers", "common", "base", "misc", "components"}
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported(tree: ast.AST, builders: bool = True, functions: bool = True) -> set[str]:
    """Full names of the modules that a syntax tree imports, inside functions too.

    Without ``functions`` those inside functions are left out, without ``builders`` those in ``build...``.
    """
    names = set()
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and not (functions and (builders or not node.name.startswith("build")))
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_imports_only_from_rooms_to_its_left(path: Path) -> None:
    own = room_of(path)
    assert own in LEVEL, f"{own} has no place in the order of the rooms"
    # A section of the configuration builds what it describes: nothing is imported before it is asked to.
    names = imported(ast.parse(path.read_text()), builders=own != "config")
    for name in names:
        package, _, rest = name.partition(".")
        room = rest.split(".")[0]
        if package == "gaplab" and room in LEVEL and room != own:
            assert LEVEL[room] < LEVEL[own], f"{own} must not import {name}"
    roots = {name.split(".")[0] for name in names}
    if (
        own == "config"
    ):  # a check that asks one of their classes for its signature loads it then, and only then
        first = {name.split(".")[0] for name in imported(ast.parse(path.read_text()), functions=False)}
        assert not first & {"torch", "lightning", "torchmetrics"}
    if own in LEAVES and path.stem != "datamodule":
        assert "lightning" not in roots


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file_has_a_telling_name_and_a_readable_length(path: Path) -> None:
    assert not set(path.relative_to(SOURCE).with_suffix("").parts) & BANNED_NAMES
    assert len(path.read_text().splitlines()) <= 400


PRIVATE_TORCH = {"stacked/compile.py", "stacked/drawn_numbers.py"}
"""Compiling a step ahead of time and flattening nested tensors have no public name; each minor of torch is tested."""


def private_names_of_torch(tree: ast.AST) -> set[str]:
    """Names below torch with a part that begins with an underscore: imported, or written out as ``torch._x``."""
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.add(ast.unparse(node))
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    below = (name for name in names if name.split(".")[0] == "torch")
    return {name for name in below if any(re.match("_(?!_)", part) for part in name.split("."))}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_private_name_of_torch_is_used(path: Path) -> None:
    found = private_names_of_torch(ast.parse(path.read_text()))
    assert bool(found) == (str(path.relative_to(SOURCE)) in PRIVATE_TORCH), found


def test_private_names_are_seen() -> None:
    tree = ast.parse("from torch.nn.modules.conv import _ConvNd\ntorch._standard_gamma(x)\ntorch.rand(2)")
    assert private_names_of_torch(tree) == {"torch.nn.modules.conv._ConvNd", "torch._standard_gamma"}


def test_the_arrows_see_an_import_inside_a_function() -> None:
    tree = ast.parse("def f():\n    from gaplab.train import run_one\n    import torch.nn")
    assert imported(tree) == {"gaplab.train.run_one", "torch.nn"}


@pytest.mark.parametrize("extended", [False, True], ids=["as shipped", "with the extension of README"])
def test_command_line_and_configuration_load_neither_torch_nor_lightning(
    extended: bool, tmp_path: Path
) -> None:
    source = (SOURCE.parents[1] / "README.md").read_text().split("# my_points.py\n")[1].split("```")[0]
    (tmp_path / "my_points.py").write_text(source)
    choice, environment = "data=spirals", dict(os.environ)
    if extended:
        choice = "data=moons"
        environment["GAPLAB_EXTENSIONS"] = str(tmp_path / "my_points.py")
    code = (
        "import json, pkgutil, sys, gaplab.cli, gaplab.config\n"
        "for module in pkgutil.iter_modules(gaplab.config.__path__):\n"
        "    __import__(f'gaplab.config.{module.name}')\n"
        "from gaplab.config.compose import compose_config\n"
        f"compose_config(['experiment=notebook_relu'])\ncompose_config(['{choice}'])\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    loaded = set(json.loads(answer.stdout))
    assert "hydra" in loaded
    assert not loaded & {"torch", "lightning", "torchmetrics", "matplotlib", "tensorboard"}


@pytest.mark.parametrize("room", [path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()])
def test_a_room_says_what_lives_there_and_where_to_start(room: str) -> None:
    text = ast.get_docstring(ast.parse((SOURCE / room / "__init__.py").read_text())) or ""
    named = {word.strip("`.,;").removesuffix(".py") for word in text.split() if word.startswith("``")}
    here = {path.stem for path in (SOURCE / room).glob("*.py")} | {path.name for path in SOURCE.iterdir()}
    assert len(text.split(". ")) >= 2
    assert {name.split("/")[-1].removesuffix(".py") for name in named} & here, "it names a file to start with"
