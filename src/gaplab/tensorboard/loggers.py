"""The two loggers every run has: event files for TensorBoard and a table for everything else."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from gaplab.storage.atomic import replacing
from gaplab.storage.reading import read_regular


class EventFiles(TensorBoardLogger):
    """TensorBoard's event files in ``folder`` itself, without the ``hparams.yaml`` that Lightning adds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="", version="", default_hp_metric=False)

    @rank_zero_only
    def save(self) -> None:
        self.experiment.flush()

    @rank_zero_only
    def forget_after(self, step: int) -> None:
        """Let TensorBoard drop what an earlier, interrupted attempt wrote beyond ``step``."""
        if step > 0:
            forget_after(self.experiment, step)


def forget_after(writer: SummaryWriter, step: int) -> None:
    """Write the mark of a restart: TensorBoard then drops older points of a later step."""
    restart = Event(step=step + 1, session_log=SessionLog(status=SessionLog.START))
    writer._get_file_writer().add_event(restart, step + 1)


def event_writer(trainer: Trainer) -> SummaryWriter | None:
    """Return the writer of the run's event file; None without TensorBoard and on all ranks but 0."""
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            if isinstance(logger, EventFiles):
                writer: SummaryWriter = logger.experiment
                return writer
    return None


def write_picture(writer: SummaryWriter, tag: str, pixels: Tensor, step: int, png: bytes) -> None:
    """Write a picture [H, W, 3] that is encoded already."""
    image = Summary.Image(
        height=pixels.shape[0], width=pixels.shape[1], colorspace=3, encoded_image_string=png
    )
    summary = Summary(value=[Summary.Value(tag=tag, image=image)])
    writer._get_file_writer().add_summary(summary, step)


METRICS = "metrics.csv"


class MetricsTable(Logger):
    """``metrics.csv``: a row a measurement, a column a tag, the optimiser step first."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.columns = ["step"]
        self.row: dict[str, Any] = {}
        """The latest row, which is written when the next one begins."""

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> "MetricsTable":
        return self

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The configuration is in ``config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if step != self.row.get("step"):
            self.save()
            self.row = {"step": step}
        self.row |= metrics

    @rank_zero_only
    def save(self) -> None:
        """Append the latest row; the file is written anew where the row brings new columns."""
        if not self.row:
            return
        if self.path.is_file() and self.row.keys() <= set(self.columns):
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self.columns, restval="").writerow(self.row)
        else:
            self._write([*self._read(), self.row])
        self.row = {}

    def append(self, rows: Mapping[int, Mapping[str, float]]) -> None:
        """Append the rows of some steps at once."""
        self._write([*self._read(), *({"step": step, **row} for step, row in rows.items())])

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()

    @rank_zero_only
    def forget_after(self, step: int) -> None:
        """Keep the rows of an earlier attempt up to ``step`` only."""
        rows = [row for row in self._read() if int(row["step"]) <= step]
        if rows:
            self._write(rows)
        else:
            self.path.unlink(missing_ok=True)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        """Write the file anew under a temporary name, with the columns that occur in any row."""
        self.columns = list(dict.fromkeys(key for row in rows for key in row))
        with replacing(self.path, durable=False) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def _read(self) -> list[dict[str, Any]]:
        """Return the rows of the file; damaged ones are left out, as nothing depends on them."""
        whole = (read_regular(self.path) or b"").decode(errors="replace").replace("\0", "\ufffd")
        rows = csv.DictReader(
            io.StringIO(whole.rpartition("\n")[0]), restkey=""
        )  # a kill may have cut the last line
        return [row for row in rows if row.get("step", "").isdecimal() and not row.keys() & {"", None}]
