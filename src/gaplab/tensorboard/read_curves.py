"""The curves of a run, from its table or, without one, from its event files."""

import csv
import math
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from gaplab.tensorboard.links import HEADLINE

History = dict[int, dict[str, float]]
"""Step to tag to value."""

OF_THE_END = ("best/", "last/", "final/", "run/", "bound/", "capacity/", "cost/", f"{HEADLINE}/")
"""Beginnings of tags that say what the end has found or what a run cost, or say once more what another tag says."""
BAND = ("_lower", "_upper")
"""Ends of tags that only draw the band of one run."""


def read_history(run: Path) -> History:
    """Return what a run measured while it trained; values that are not finite are left out.

    A checkpoint holds this too, but opening one takes ten times as long, and a study may not keep them.
    """
    table = run / "metrics.csv"
    history = _from_table(table) if table.is_file() else _from_events(run)
    return {step: row for step, row in sorted(history.items()) if row}


def _from_table(file: Path) -> History:
    with file.open(newline="") as stream:
        rows = csv.reader(stream)
        columns = next(rows, [])
        kept = {tag: place for place, tag in enumerate(columns) if tag != "step" and not tag.endswith(BAND)}
        history: History = {}
        for row in rows:
            cells = [*row, *[""] * (len(columns) - len(row))]  # a kill may have cut the last line
            values = {tag: float(cells[place]) for tag, place in kept.items() if cells[place]}
            history[int(cells[columns.index("step")])] = {
                tag: value for tag, value in values.items() if math.isfinite(value)
            }
    return history


def _from_events(run: Path) -> History:
    history: History = {}
    for file in sorted(run.glob("events.out.tfevents.*")):
        for raw in RawEventFileLoader(str(file)).Load():
            event = Event.FromString(raw)
            for value in event.summary.value:
                left_out = value.tag.startswith(OF_THE_END) or value.tag.endswith(BAND)
                if value.HasField("simple_value") and not left_out and math.isfinite(value.simple_value):
                    history.setdefault(event.step, {})[value.tag] = value.simple_value
    return history
