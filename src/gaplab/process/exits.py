"""How a command ends: exit codes, and one readable message instead of a traceback where that says it all."""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import NoReturn

from gaplab.errors import CannotWriteError, ConfigError, DivergedError, OtherProcessFailedError, Preempted

EXIT_FAILED, EXIT_MISTAKE, EXIT_INTERRUPTED = 1, 2, 130
EXIT_PREEMPTED = 75
"""EX_TEMPFAIL of sysexits.h: the same command, tried again, goes on."""


@contextlib.contextmanager
def readable_exits() -> Iterator[None]:
    """Turn what may end a run into an exit code and a message."""
    try:
        yield
    except ConfigError as error:
        refuse(error)
    except Preempted as error:
        if is_first_process():
            ending = (
                f"Saved after {error}. The same command, or resume=RUN, continues."
                if error.saved
                else f"Stopped by {error}. Nothing was saved; the same command, or resume=RUN, begins it again."
            )
            print(ending, file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED if error.number == signal.SIGINT else EXIT_PREEMPTED)
    except KeyboardInterrupt:
        print("Interrupted. The last checkpoint is kept; resume=RUN continues.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        if (text := readable(error)) is None:
            raise
        print(text, file=sys.stderr)
        sys.exit(EXIT_MISTAKE if is_lightnings_refusal(error) else EXIT_FAILED)


def readable(error: BaseException) -> str | None:
    """Return what says all about the end of a run; None where only a traceback does."""
    notes = getattr(error, "__notes__", [])
    if isinstance(error, DivergedError):
        return " ".join([f"Diverged: {error}. {error.advice}", *notes])
    if isinstance(error, ConfigError | OtherProcessFailedError | CannotWriteError) or is_lightnings_refusal(
        error
    ):
        return "\n".join([f"error: {error}", *notes])
    if type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator: can't allocate memory" in str(
        error
    ):
        text = " ".join(str(error).split(": ")[-1].split())
        advice = "Lower data.num_points, data.batch_size or network.widths."
        return "\n".join([f"error: not enough memory: {text} {advice}", *notes])
    return None


def is_lightnings_refusal(error: BaseException) -> bool:
    """Whether Lightning has found a mistake of the user's; known by name, as importing it takes seconds."""
    return type(error).__name__ == "MisconfigurationException"


def tell_failure(name: str, error: BaseException) -> None:
    """Say why a run of a sweep failed: in a sentence where that says all, else with the traceback."""
    text = readable(error)
    if text is None:
        traceback.print_exception(error)
    else:
        print(f"{name}: {text}", file=sys.stderr)


def refuse(error: ConfigError) -> NoReturn:
    """Say what was wrong, and leave; of several processes that find the same mistake, the first speaks."""
    if is_first_process() or type(error) is not ConfigError:
        print(f"error: {error}", file=sys.stderr)
    sys.exit(EXIT_MISTAKE)


def is_first_process() -> bool:
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
