"""TensorBoard event files written in one piece, for runs that are trained beside hundreds of others.

A ``SummaryWriter`` a run would hold a file and a thread open for each. Here the numbers are kept until there
is something to write, then a file is written and closed.
"""

import io
import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.summary import custom_scalars

from gaplab.tensorboard.custom_scalars import Layout
from gaplab.tensorboard.records import write_record

_numbers = itertools.count()


class WholeEventFile:
    """An event file that is written when it is closed, without a thread; its methods are those of a writer.

    Args:
        folder: Where it will lie.
        suffix: The end of its name.
    """

    def __init__(self, folder: Path, suffix: str = "") -> None:
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}{suffix}"
        self.path = folder / name
        self.buffer = io.BytesIO()
        self.add_event(Event(wall_time=now, file_version="brain.Event:2"))

    def add_event(self, event: Event) -> None:
        write_record(self.buffer, event.SerializeToString())

    def flush(self) -> None:
        """Do nothing: the numbers are at hand together."""

    def close(self) -> None:
        """Write the file."""
        self.path.write_bytes(self.buffer.getvalue())


def write_events(
    folder: Path, tables: Mapping[int, Mapping[str, float]], layout: Layout | None = None
) -> Path:
    """Write one event file: a table of scalars for every step, and a layout of custom charts.

    The tables of a step become one record, which TensorBoard reads like one record a tag.
    """
    file, now = WholeEventFile(folder), time.time()
    if layout is not None:
        file.add_event(Event(wall_time=now, step=0, summary=custom_scalars(layout)))
    for step, table in tables.items():
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in table.items()]
        file.add_event(Event(wall_time=now, step=step, summary=Summary(value=values)))
    file.close()
    return file.path


EVENT_FILES = "events.out.tfevents.*"


def event_sizes(run: Path) -> dict[str, int]:
    """Return the bytes of each TensorBoard file of a run, by its path inside the run directory."""
    return {str(file.relative_to(run)): file.stat().st_size for file in sorted(run.rglob(EVENT_FILES))}
