"""The list of phenomena, and the path from a configuration to a verdict in a run directory."""

from collections.abc import Sequence
from importlib import import_module

from gaplab.config.phenomenon import PhenomenonName
from gaplab.distributed.ranks import ALONE, Ranks
from gaplab.phenomena.pages import outcome_of, print_verdict, write_page
from gaplab.phenomena.verdict import Phenomenon
from gaplab.process.signals import stop_signals_obeyed
from gaplab.runs.anew import tell_finished
from gaplab.runs.directory import RunDirectory, Status
from gaplab.runs.results import read_objective
from gaplab.runs.resume import Plan
from gaplab.storage.atomic import write_json
from gaplab.storage.locking import unlock


def load_phenomenon(name: PhenomenonName) -> Phenomenon:
    """Import one file of this package and return its phenomenon."""
    phenomenon = import_module(f"gaplab.phenomena.{name}").PHENOMENON
    assert isinstance(phenomenon, Phenomenon), "every file of this package defines one"
    return phenomenon


def seeds_from(first: int, count: int) -> Sequence[int]:
    return range(first, first + count)


def run_phenomenon(plan: Plan, ranks: Ranks = ALONE) -> float:
    """Test the phenomenon that the configuration names; leave verdict, page and figures in the run directory.

    Only the first process of a run works; there is nothing to share.

    Returns:
        The number of expectations that were not met, which is what a sweep would minimise.
    """
    config, path = plan.composed.config, plan.path
    section = config.phenomenon
    assert section.name is not None, "the caller looked"
    if ranks.rank > 0:
        return 0.0
    if plan.finished:
        tell_finished(path)
        unlock(path)
        return read_objective(path)
    phenomenon = load_phenomenon(section.name)
    run = RunDirectory(path)
    run.open(plan.composed)
    with run.recorded(), stop_signals_obeyed():
        verdict = phenomenon.run(seeds_from(config.seed, section.num_seeds), section.quick)
        unmet = sum(not check.holds for check in verdict.checks)
        write_json(path / "verdict.json", {"phenomenon": section.name, "unmet": unmet, **verdict.as_json()})
        write_page(phenomenon, verdict, path / "page.md", folder="figures")
        run.mark(Status.finished, verdict=outcome_of(verdict))
    print_verdict(phenomenon, verdict)
    print(f"Page: {path / 'page.md'}")
    return float(unmet)
