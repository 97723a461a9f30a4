"""A process that ``gaplab.sweeps.worker_pool`` starts: it trains items of a sweep until there are no more."""

import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from gaplab.config.extensions import load_extensions
from gaplab.errors import ConfigError, Preempted
from gaplab.process.children import pipe_to_parent
from gaplab.process.devices import keep_to_share
from gaplab.process.exits import EXIT_PREEMPTED
from gaplab.process.fast_imports import quick_imports
from gaplab.process.output import steady_output
from gaplab.process.signals import STOP_SIGNAL, stop_signals_caught
from gaplab.sweeps.run_job import ENDED_WELL, status

if TYPE_CHECKING:
    from gaplab.sweeps.schedule import WorkItem


def main() -> None:
    """Ask for items and answer; end when there are no more, after a signal, or when nobody listens.

    After a run with an output of its own has failed it ends too: what the failure left in this process, such
    as a GPU out of order, must not reach the next run.
    """
    steady_output()
    pipe = pipe_to_parent()
    STOP_SIGNAL.install()
    keep_to_share()
    with quick_imports():
        load_extensions()
        from gaplab.sweeps.train_work import CompiledByGroup, train_item

    def tell(kind: str, content: object = None) -> None:
        try:
            pipe.send((kind, content))
        except OSError:  # the sweep is over for a reason of its own: save, and end
            STOP_SIGNAL.number = STOP_SIGNAL.number or signal.SIGTERM

    compiled: CompiledByGroup = {}
    with stop_signals_caught():
        tell("ready")
        while (item := _next_item(pipe)) is not None:
            if item.output is not None:
                speak_to(item.output)
            try:
                answer = train_item(item, compiled, lambda *steps: tell("steps", steps))
            except ConfigError as error:
                tell("mistake", str(error))
                return
            except Preempted:
                sys.exit(EXIT_PREEMPTED)
            if item.output is not None and status(item.jobs[0].plan.path) not in ("finished", *ENDED_WELL):
                tell("last answer", answer)
                break
            tell("answer", answer)
    # Taking the interpreter apart would take a second, for which the sweep would wait.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def speak_to(file: Path) -> None:
    """Let what this process and those that it starts say go to the end of a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with file.open("ab") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)


def _next_item(pipe: Connection) -> "WorkItem | None":
    try:
        item: WorkItem | None = pipe.recv()
    except (EOFError, OSError):
        return None
    return item


if __name__ == "__main__":
    main()
