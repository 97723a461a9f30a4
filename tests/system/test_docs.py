"""Figures on the pages are those that commands print; stale ones are found."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gaplab.config.compose import compose_config
from gaplab.config.phenomenon import PhenomenonName
from gaplab.config.registry import PROJECT_ROOT
from gaplab.phenomena import __main__ as phenomena

DOCS = PROJECT_ROOT / "docs"
QUICK = [PhenomenonName.perceptron_mistakes]
FIGURE = re.compile(r"(?<![\w.])\d+\.\d{3,}")
SOURCES = {"gap_and_bounds.md": ["phenomena/gap_and_bounds.md", "phenomena/poisoned_minima.md"]}
"""Pages that quote figures, and the pages that commands have written."""


@pytest.fixture(scope="module")
def rerun() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rerun", DOCS / "rerun.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rerun"] = module
    spec.loader.exec_module(module)
    return module


def check_page(name: PhenomenonName, rerun: ModuleType, folder: Path) -> None:
    phenomena.main([name, "--output", str(folder)])
    written, now = (
        path.read_text().splitlines() for path in (DOCS / "phenomena" / f"{name}.md", folder / f"{name}.md")
    )
    stale = [line for line in rerun.compared(written, now) if line.stale]
    assert not stale
    assert len(written) == len(now)


@pytest.mark.parametrize("name", QUICK)
def test_a_cheap_page_is_what_its_command_writes(
    name: PhenomenonName, rerun: ModuleType, tmp_path: Path
) -> None:
    check_page(name, rerun, tmp_path)


def expectations(page: str) -> list[list[str]]:
    """The rows of the tables of a page, cell by cell."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line[:1] == "|"]


@pytest.mark.parametrize("name", PhenomenonName)
def test_all_that_a_page_expects_was_tried_on_other_seeds_and_holds(name: PhenomenonName) -> None:
    page = (DOCS / "phenomena" / f"{name}.md").read_text()
    _, _, *expected = expectations(page[page.index("| expected |") :].split("\n\n")[0])
    others = expectations((DOCS / "phenomena" / "other_seeds.md").read_text())
    tried = [row for row in others if row[0] == f"[{name}]({name}.md)"]
    assert [row[1] for row in tried] == [row[0] for row in expected]
    assert {row[3] for row in tried} == {row[2] for row in expected} == {"holds"}


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in PhenomenonName if name not in QUICK])
def test_a_page_is_what_its_command_writes(name: PhenomenonName, rerun: ModuleType, tmp_path: Path) -> None:
    check_page(name, rerun, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "page", sorted(path.name for path in DOCS.glob("*.md") if "```console" in path.read_text())
)
def test_commands_print_what_the_page_says(page: str, rerun: ModuleType) -> None:
    _, lines = rerun.rewritten((DOCS / page).read_text())
    assert lines
    assert not [line for line in lines if line.stale]


@pytest.mark.parametrize("page", SOURCES)
def test_figures_that_a_page_quotes_stand_in_their_source(page: str) -> None:
    text = (DOCS / page).read_text()
    printed = "".join(re.findall(r"^```console\n.*?^```$", text, flags=re.DOTALL | re.MULTILINE))
    known = FIGURE.findall(printed + "".join((DOCS / source).read_text() for source in SOURCES[page]))
    quoted = FIGURE.findall(text.replace(printed, ""))
    assert quoted
    assert [figure for figure in quoted if not stands_in(figure, known)] == []


def stands_in(figure: str, known: list[str]) -> bool:
    """Whether the figure is one of the known ones, or one of them rounded.

    >>> stands_in("0.123", ["0.12345"]), stands_in("0.124", ["0.12345"])
    (True, False)
    """
    decimals = len(figure.partition(".")[2])
    return any(figure in (value, f"{float(value):.{decimals}f}") for value in known)


def test_a_stale_figure_is_found_and_a_rounding_difference_is_not(rerun: ModuleType) -> None:
    page = ["loss │ 0.2390 │", "Bound x: <= 4.722", "steps 10000"]
    printed = ["something else", "loss   │ 0.2395 │", "Bound x: <= 4.722", "steps  10000"]
    assert not [line for line in rerun.compared(page, printed) if line.stale]
    for old, new in (("0.2395", "0.3395"), ("4.722", "2.722"), ("10000", "3000"), ("Bound x", "Bound y")):
        changed = [line.replace(old, new) for line in printed]
        assert sum(line.stale for line in rerun.compared(page, changed)) == 1


def test_rows_of_a_table_that_is_sorted_by_figures_may_change_places(rerun: ModuleType) -> None:
    page = ["| sigmoid | 0.9884 |", "| gelu | 0.9883 |", "", "Verdict: holds", "| gelu | 3 |"]
    printed = ["| gelu | 0.9885 |", "| sigmoid | 0.9884 |", "", "Verdict: holds", "| gelu | 3 |"]
    assert [line.printed for line in rerun.compared(page, printed)] == [printed[i] for i in (1, 0, 2, 3, 4)]
    twice = [page[1], page[1]]
    assert [line.stale for line in rerun.compared(twice, printed)] == [False, True]
    assert [line.stale for line in rerun.compared([page[3], page[0]], printed)] == [False, True]


def test_a_block_is_rewritten_with_the_figures_of_now(
    rerun: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerun, "printed_now", lambda command: [f"{command} took 3 s", "loss 0.5 ± 0.1"])
    page = "# Page\n\n```console\n$ python train.py\nloss 0.4 ± 0.2\n```\n\n```\n$ not this\n```\n"
    text, (line,) = rerun.rewritten(page)
    assert text == page.replace("0.4 ± 0.2", "0.5 ± 0.1")
    assert line.stale


def test_the_course_has_twenty_commands_that_compose() -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", (DOCS / "course.md").read_text(), flags=re.DOTALL)
    commands = block.splitlines()
    assert [re.findall(r"# (\d+)\.", command) for command in commands] == [[str(n)] for n in range(1, 21)]
    for command in commands:
        program, script, *words = shlex.split(command, comments=True)
        assert (program, script) == ("python", "train.py")
        compose_config(words)
