"""What programs and people from outside read of this project names what is there."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from running import PROJECT

SITE = yaml.safe_load((PROJECT / "mkdocs.yml").read_text())


def pages(entry: Any) -> list[str]:
    """Return the files in a part of the site's navigation."""
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in pages(part)]


def test_every_page_of_the_docs_has_its_place_on_the_site() -> None:
    own = {file.name for file in (PROJECT / "docs").glob("*.md")} | {"phenomena/README.md"}
    assert sorted(pages(SITE["nav"])) == sorted(own)
    assert [next(iter(part)) for part in SITE["nav"]] == [
        "Tutorial",
        "How to",
        "Reference",
        "Explanation",
        "Gallery",
    ]


@pytest.mark.parametrize("page", ["AGENTS.md", "CONTRIBUTING.md"])
def test_paths_and_goals_of_a_page_exist(page: str) -> None:
    code = re.findall(r"`([^`\n]+)`|^(make [^#\n]*)", (PROJECT / page).read_text(), re.MULTILINE)
    words = {found.strip() for pair in code for found in pair if found}
    goals = {word.split()[1] for word in words if word.startswith("make ")}
    offered = set(re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert goals
    assert goals <= offered
    paths = {word for word in words if re.fullmatch(r"[\w./]+(/|\.py|\.md|\.txt)|\.ci/run", word)}
    folders = (PROJECT, PROJECT / "src" / "gaplab")
    assert paths
    assert [path for path in paths if not any((folder / path).exists() for folder in folders)] == []


def test_the_dev_container_names_what_is_there() -> None:
    folder = PROJECT / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / container["build"]["dockerfile"]).is_file()
    settings = container["customizations"]["vscode"]["settings"]
    for schema, patterns in settings["yaml.schemas"].items():
        assert (PROJECT / schema).is_file()
        assert all(list(PROJECT.glob(pattern)) for pattern in patterns)


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_updates_are_looked_for_where_versions_stand() -> None:
    updates = yaml.safe_load((PROJECT / ".github" / "dependabot.yml").read_text())["updates"]
    files = {"pip": "constraints.txt", "github-actions": ".github/workflows", "docker": "Dockerfile"}
    assert {one["package-ecosystem"] for one in updates} == set(files)
    assert all(Path(PROJECT, file).exists() for file in files.values())
