"""A process that ``gaplab.sweeps.worker_pool`` starts: it trains portions of a sweep until there are no more."""

import os
import signal
import sys
from multiprocessing.connection import Connection

from gaplab.config.registry import register_all
from gaplab.errors import ConfigError, Preempted
from gaplab.process.devices import keep_to_share
from gaplab.process.exits import EXIT_PREEMPTED
from gaplab.process.fast_imports import quick_imports
from gaplab.process.signals import NOTED, signals_noted
from gaplab.sweeps.schedule import Portion


def main(pipe: Connection) -> None:
    """Ask for portions and answer; end when there are no more, after a signal, or when nobody listens."""
    NOTED.install()
    keep_to_share()
    register_all()
    with quick_imports():
        from gaplab.sweeps.train_work import KernelsOfGroups, train_handed_out

    def tell(kind: str, content: object = None) -> None:
        try:
            pipe.send((kind, content))
        except OSError:  # the sweep is over for a reason of its own: save, and end
            NOTED.number = NOTED.number or signal.SIGTERM

    kernels: KernelsOfGroups = {}
    with signals_noted():
        tell("ready")
        while (portion := _next_portion(pipe)) is not None:
            try:
                answer = train_handed_out(portion, kernels, lambda *steps: tell("steps", steps))
            except ConfigError as error:
                tell("mistake", str(error))
                return
            except Preempted:
                sys.exit(EXIT_PREEMPTED)
            tell("answer", answer)
    # Taking the interpreter apart would take a second, for which the sweep would wait.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _next_portion(pipe: Connection) -> Portion | None:
    try:
        portion: Portion | None = pipe.recv()
    except (EOFError, OSError):
        return None
    return portion


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
