"""The run's row on TensorBoard's HPARAMS page: settings at the start, results and status at the end."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from lightning.pytorch import Callback, LightningModule, Trainer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from gaplab.errors import Pruned
from gaplab.runs.recorder import Recorder
from gaplab.runs.results import Result

Setting = bool | int | float | str

SHOWN_FIRST = ("gap/loss", "loss/train", "loss/val", "loss/test", "accuracy/test")
"""TensorBoard switches on the first five metrics; the others need a click."""
OF_OTHERS = (
    *SHOWN_FIRST,
    "accuracy/train",
    "accuracy/val",
    "modes/captured",
    "modes/high_quality",
    "distance/sliced_w2_test",
)
"""TensorBoard takes the columns of one run of a folder: each also names what runs of other kinds have."""
USUAL = ("seed", "num_steps", "optimizer.lr", "network.widths", "data.num_points")
"""The columns that are switched on where the user chose nothing."""
PRUNED = "run/pruned_at_step"
"""Where a search stopped a run."""


class EventFile(Protocol):
    """What a session writes to."""

    def add_event(self, event: Event) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class HParamsRow(Callback):
    """Writes the row of one run to an event file of its own.

    TensorBoard takes the first settings and the first status that it finds in a run. A run that is
    continued therefore begins this file, and only this one, anew.

    Args:
        folder: The run directory.
        settings: The columns, flat; a list is a text and None is ``"null"``.
        changed: The settings that the user chose; they come first on the page. Of a job of a sweep they are the only
            columns: what the sweep varies.
        recorder: Knows the best measurement of a run that fails; None where ``end`` is called by hand.
        number: The place of a job in its sweep.
    """

    SUFFIX = ".session"

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Setting],
        changed: Collection[str],
        recorder: Recorder | None = None,
        number: int | None = None,
    ) -> None:
        self.folder = folder
        self.recorder = recorder
        self.settings = dict(settings)
        self.changed = changed or USUAL
        self.number = number
        self.file: EventFile | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.open(partial(EventFileWriter, str(self.folder), filename_suffix=self.SUFFIX))

    def open(self, begin: Callable[[], EventFile]) -> None:
        """Begin a file with the settings, in place of that of an earlier attempt."""
        for old in self.folder.glob(f"events.out.tfevents.*{self.SUFFIX}"):
            old.unlink()
        self.file = begin()
        # Rows of equal names would be averaged; a run's name alone may occur in several folders.
        # The column is narrow, so that the number within a sweep comes first.
        place = "" if self.number is None else f"{self.number:04d} "
        name = f"{place}{self.folder.name} ({self.folder.parent.name})"
        self._write(hparams_pb(self.settings, trial_id=name), 0)

    def on_result(self, trainer: Trainer, result: Result) -> None:
        """Write the metrics of a run that finished."""
        weights = "last" if result.best is None else "best"
        self.end(result.best or result.last, result.step, api_pb2.STATUS_SUCCESS, weights)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what a failed, diverged or pruned run had reached; an interrupted run stays open."""
        if isinstance(exception, Exception | Pruned) and self.recorder is not None:
            self.end_early(self.recorder, exception.step if isinstance(exception, Pruned) else None)

    def end_early(self, recorder: Recorder, pruned_at: int | None = None) -> None:
        """Write the best measurement of a run that has failed, or that was pruned at a step."""
        step, table = recorder.best_measurement()
        weights = "best" if recorder.has_best else "last"
        if pruned_at is None:
            self.end(table, step, api_pb2.STATUS_FAILURE, weights)
        else:
            self.end({**table, PRUNED: pruned_at}, step, api_pb2.STATUS_UNKNOWN, weights)

    def end(self, table: Mapping[str, float], step: int, status: "api_pb2.Status", weights: str) -> None:
        """Write the metrics and the status, and close the file.

        Args:
            table: What was measured.
            step: Optimiser steps of the run.
            status: How it ended.
            weights: Which ones were measured, ``best`` or ``last``: the tags begin with it.
        """
        if self.file is None:
            return
        names = [name for name in SHOWN_FIRST if name in table]
        names += [name for name in table if name not in names]
        metrics = {f"{weights}/{name.replace('/', '_')}": table[name] for name in names if name != PRUNED}
        metrics |= {PRUNED: table[PRUNED]} if PRUNED in table else {}
        metrics["run/finished"] = float(status == api_pb2.STATUS_SUCCESS)
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in metrics.items()]
        self._write(Summary(value=values), step)
        if table:  # a run without a measurement must not decide what the page shows
            others = (f"{weights}/{name.replace('/', '_')}" for name in OF_OTHERS)
            columns = self._columns(dict.fromkeys([*metrics, *others]))
            self._write(_hparams_summary(metadata.EXPERIMENT_TAG, experiment=columns), 0)
        end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        self._write(_hparams_summary(metadata.SESSION_END_INFO_TAG, session_end_info=end), 0)
        self.file.close()
        self.file = None

    def _columns(self, metrics: Iterable[str]) -> api_pb2.Experiment:
        kinds = {bool: "BOOL", int: "FLOAT64", float: "FLOAT64", str: "STRING"}
        hparams = [
            api_pb2.HParamInfo(
                name=name,
                type=api_pb2.DataType.Value(f"DATA_TYPE_{kinds[type(value)]}"),
                differs=name in self.changed,
            )
            for name, value in self.settings.items()
            if self.number is None or name in self.changed
        ]
        shown = [
            api_pb2.MetricInfo(
                name=api_pb2.MetricName(tag=tag),
                display_name=tag.removeprefix("run/").replace("/", " ").replace("_", " ", 1),
            )
            for tag in metrics
        ]
        return api_pb2.Experiment(hparam_infos=hparams, metric_infos=shown)

    def _write(self, summary: Summary, step: int) -> None:
        assert self.file is not None, "only rank 0 writes, between on_fit_start and the end"
        self.file.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        self.file.flush()


def _hparams_summary(tag: str, **content: object) -> Summary:
    data = plugin_data_pb2.HParamsPluginData(**content)
    summary = Summary()
    summary.value.add(
        tag=tag,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return summary
