"""A process that ``gaplab.launch.processes`` starts beside rank 0: it joins the group and does what rank 0 plans."""

import sys
from pathlib import Path
from typing import NoReturn

from gaplab.config.extensions import load_extensions
from gaplab.errors import Preempted
from gaplab.process.children import end_with_parent, pipe_to_parent
from gaplab.process.exits import EXIT_FAILED, refuse
from gaplab.process.fast_imports import quick_imports
from gaplab.process.output import steady_output
from gaplab.process.signals import STOP_SIGNAL


def main() -> None:
    """Work until the run ends; a failure's message goes to rank 0, which tells the user."""
    steady_output()
    STOP_SIGNAL.install()  # a signal to all processes of the run must not end this one before the others agree
    pipe = pipe_to_parent()
    load_extensions()  # what is sent may be of a class of theirs
    try:
        ranks, config = pipe.recv()
    except EOFError:
        sys.exit(EXIT_FAILED)
    end_with_parent(pipe)
    with quick_imports():
        from gaplab.distributed.process_group import (
            join_group,
            leave_group,
            reported_failures,
        )
        from gaplab.errors import RendezvousError
        from gaplab.runs.shared_plan import plan_together
        from gaplab.train import run_planned

    try:
        join_group(ranks, config.trainer, Path(config.run.root))
    except RendezvousError as error:
        refuse(error)
    try:
        with reported_failures(ranks):
            run_planned(plan_together(ranks, _decided_elsewhere), ranks)
    except (Exception, Preempted, KeyboardInterrupt):  # rank 0 has the message, or the same exception itself
        sys.exit(EXIT_FAILED)
    leave_group()


def _decided_elsewhere() -> NoReturn:
    raise AssertionError("only rank 0 decides")


if __name__ == "__main__":
    main()
