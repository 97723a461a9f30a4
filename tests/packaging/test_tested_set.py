"""What is installed: the tested set lies within the admitted ranges, and whoever installs takes it."""

import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from running import PROJECT

METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
REQUIRED = METADATA["dependencies"]
EXTRAS = METADATA["optional-dependencies"]


def pins(file: str) -> dict[str, Version]:
    lines = [line for line in (PROJECT / file).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), (
        "no paths, addresses or local builds"
    )
    return {
        canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)
    }


def admitted() -> list[Requirement]:
    texts = (*REQUIRED, *(text for extra in EXTRAS.values() for text in extra))
    return [Requirement(text) for text in texts if not text.startswith("gaplab[")]


@pytest.mark.parametrize("required", admitted(), ids=str)
def test_the_tested_version_is_admitted(required: Requirement) -> None:
    assert required.specifier.contains(pins("constraints.txt")[canonicalize_name(required.name)])


def test_the_oldest_versions_are_those_of_the_ranges() -> None:
    oldest = {}
    for text in REQUIRED:
        required = Requirement(text)
        (lowest,) = [one.version for one in required.specifier if one.operator == ">="]
        oldest[canonicalize_name(required.name)] = Version(lowest)
    assert pins(".ci/lowest.txt") == oldest


def test_every_minor_version_of_torch_has_its_job() -> None:
    (torch,) = [Requirement(text) for text in REQUIRED if text.startswith("torch>")]
    admitted = {f"2.{minor}" for minor in range(40) if torch.specifier.contains(f"2.{minor}.0")}
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text())
    tried = {str(job) for job in workflow["jobs"]["versions"]["strategy"]["matrix"]["include"]}
    minors = {found for job in tried for found in re.findall(r"torch==(2\.\d+)\.\*", job)}
    assert minors | {"2.{}".format(pins(".ci/lowest.txt")["torch"].minor)} == admitted


@pytest.mark.parametrize("goal", ["train", "test", "thorough", "lint", "extras", "docs"])
def test_make_installs_the_tested_set(goal: str) -> None:
    words = ["make", "--dry-run", "--always-make", goal]
    steps = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    installs = [line for line in steps.splitlines() if "pip install" in line]
    assert installs
    assert all(line.endswith("--constraint constraints.txt") for line in installs)


def test_ci_installs_by_make_alone() -> None:
    script = (PROJECT / ".ci" / "run").read_text()
    assert "pip install" not in script
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    goals = [
        step.removeprefix("bash .ci/run").split(" ARGS=")[0]
        for step in steps
        if step.startswith("bash .ci/run")
    ]
    assert set(" ".join(goals).split()) == {"lint", "test", "thorough", "extras", "docs"}


def test_the_image_is_of_one_python_that_is_admitted_and_installs_the_tested_set() -> None:
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    (start,) = [line for line in lines if line.startswith("FROM ")]
    found = re.fullmatch(r"FROM python:(\d+\.\d+\.\d+)-slim-bookworm", start)
    assert found, "a whole version and the name of the system"
    assert SpecifierSet(METADATA["requires-python"]).contains(found[1])
    (goal,) = re.findall(r"^RUN (make .*)$", "\n".join(lines), re.MULTILINE)
    steps = subprocess.run(
        [*goal.split(), "--dry-run"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert "python -m venv /opt/gaplab\n" in steps
    assert "--constraint constraints.txt" in steps
