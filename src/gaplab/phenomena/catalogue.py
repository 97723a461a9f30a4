"""The list of phenomena, and the path from a configuration to a verdict in a run directory."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from gaplab.config.compose import Composed
from gaplab.config.phenomenon import PhenomenonName
from gaplab.phenomena.pages import print_verdict, write_page
from gaplab.phenomena.verdict import Phenomenon
from gaplab.runs.atomic import write_json
from gaplab.runs.directory import RunDirectory, Status


def load_phenomenon(name: PhenomenonName) -> Phenomenon:
    """Import one file of this package and return its phenomenon."""
    phenomenon = import_module(f"gaplab.phenomena.{name}").PHENOMENON
    assert isinstance(phenomenon, Phenomenon), "every file of this package defines one"
    return phenomenon


def seeds_from(first: int, count: int) -> Sequence[int]:
    return range(first, first + count)


def run_phenomenon(composed: Composed, path: Path) -> float:
    """Test the phenomenon that the configuration names; leave verdict, page and figures in ``path``.

    Returns:
        The number of expectations that were not met.
    """
    section = composed.config.phenomenon
    assert section is not None, "the caller looked"
    phenomenon = load_phenomenon(section.name)
    run = RunDirectory(path)
    run.open(composed)
    with run.recorded():
        verdict = phenomenon.run(seeds_from(composed.config.seed, section.num_seeds), section.quick)
        write_json(path / "verdict.json", verdict.as_json())
        write_page(phenomenon, verdict, path / "page.md", figures="figures")
        print_verdict(phenomenon, verdict)
        print(f"Run: {path}")
        print(f"Page: {path / 'page.md'}")
        run.mark(Status.finished, verdict="holds" if verdict.holds else "does not hold")
    return float(sum(not check.holds for check in verdict.checks))
