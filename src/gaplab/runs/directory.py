"""A run's directory: its files, its status, and who is writing to it."""

import contextlib
import errno
import json
import os
import shlex
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from gaplab.config.compose import Composed
from gaplab.config.renamed import with_new_names
from gaplab.config.resumption import differences
from gaplab.errors import CannotWriteError, ConfigError, DivergedError, Preempted, Pruned
from gaplab.process.children import typed_command
from gaplab.runs.provenance import provenance
from gaplab.runs.source_copies import write_sources
from gaplab.storage.atomic import overwrite_json, write_json, write_yaml
from gaplab.storage.locking import lock, unlock
from gaplab.storage.reading import read_regular, read_yaml, refuse_links

LOG = "log.txt"
"""What happened to a run, a line a measurement, and the traceback of a failure."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors that only a disk has."""
CLOSED = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOENT, errno.ENOTDIR)


class Status(StrEnum):
    running = "running"
    finished = "finished"
    failed = "failed"
    diverged = "diverged"
    preempted = "preempted"
    pruned = "pruned"
    """Stopped by a search, as others were better; it can go on."""


class RunDirectory:
    """The files of one run below ``path``; only global rank 0 creates and writes them."""

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path = path
        self.writes = writes
        self.record: dict[str, Any] = {}
        """What ``run.json`` holds, or will hold with the next ``mark``."""
        self.begun: float | None = None
        """When this process began to work on the run, in seconds of ``time.perf_counter``."""

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def previous(self) -> Path:
        return self.path / "checkpoints" / "previous.ckpt"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def initial(self) -> Path:
        """The weights of another run that this one started from; not there where it started by itself."""
        return self.path / "checkpoints" / "initial.ckpt"

    def remove_checkpoints(self) -> None:
        """Remove the weights; the folder stays."""
        for file in (
            self.last,
            self.previous,
            self.best,
            self.initial,
            *self.last.parent.glob("step=*.ckpt"),
        ):
            file.unlink(missing_ok=True)

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def open(self, composed: Composed, step: int = 0, data_facts: Mapping[str, Any] | None = None) -> None:
        """Create and lock the directory and write what is known before training.

        ``run.json`` has a list ``legs``: a run that continues keeps what was noted of its earlier parts.

        Args:
            composed: The configuration, whose data are built: their sizes are those of the record.
            step: Where the run continues; 0 for its beginning.
            data_facts: What else is known of the data: names of classes, the hash of a file.

        Raises:
            ConfigError: If the directory cannot be written, or another process works in it.
        """
        if not self.writes:
            return
        refuse_changed_data(self.path, (data_facts or {}).get("sha256"))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock(self.path)  # first, as a sign that the directory is a run's
            refuse_links(self.path)
            for folder in (self.last.parent, self.figures):
                folder.mkdir(exist_ok=True)
            config = composed.config
            if "data" in composed.resolved:  # not those that a task brings with it
                composed.resolved["data"] = {**composed.resolved["data"], **config.data.settled()}
            legs, changes = self._earlier_legs(composed) if step else ([], {})
            write_yaml(self.path / "config.yaml", composed.resolved)
            write_yaml(self.path / "overrides.yaml", composed.overrides)
            self.record = {
                "status": Status.running.value,
                "command": typed_command(),
                "seeds": {
                    "data": config.data_seed,
                    "init": config.init_seed,
                    "train": config.train_seed,
                },
                **({"data": dict(data_facts)} if data_facts else {}),
                "started": _now(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                **provenance(),
            }
            own = {key: self.record[key] for key in ("command", "started", "host", "git")}
            self.record["legs"] = [
                *legs,
                {"step": step, "changes": changes, "status": Status.running.value, **own},
            ]
            write_sources(self.path)
            self._write_record()
            self.log(f"started: {self.record['command']}")
        except OSError as error:
            raise ConfigError(
                f"run.root: expected a folder that can be written, but {self.path} gave: "
                f"{error.strerror or error}. Choose another with run.root=FOLDER."
            ) from error

    def prepare_mark(self, status: Status, **facts: Any) -> None:
        """Take a status and further facts into ``record``; ``mark`` without arguments writes them."""
        if "seconds" not in facts and self.begun is not None:
            facts["seconds"] = round(time.perf_counter() - self.begun, 3)
        news = {"status": status.value, "ended": _now(), **facts}
        if legs := self.record.get("legs"):
            legs[-1] |= {key: news[key] for key in ("status", "ended", "seconds") if key in news}
            known = [leg["seconds"] for leg in legs if isinstance(leg.get("seconds"), int | float)]
            news |= {"seconds": round(sum(known), 4)} if known else {}
        self.record |= news

    def mark(self, status: Status | None = None, **facts: Any) -> None:
        """Record a status and further facts in ``run.json``, or what ``prepare_mark`` was told."""
        if status is not None:
            self.prepare_mark(status, **facts)
        if self.writes:
            self._write_record()
            self.log(f"{self.record['status']}: {self.record.get('error', '')}".rstrip(": "))

    def log(self, text: str) -> None:
        """Add a line, or several, with the time to ``log.txt``; a log that cannot be written stops nothing."""
        if not self.writes:
            return
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            handle = os.open(self.path / LOG, flags, 0o666)
            try:
                os.write(handle, f"{_now()} {text}\n".encode(errors="replace"))
            finally:
                os.close(handle)

    def _earlier_legs(self, composed: Composed) -> tuple[list[dict[str, Any]], dict[str, list[Any]]]:
        """Return the legs noted so far, and which settings change now: old and new value by key."""
        try:
            before, config = read_json(self.path / "run.json"), read_config(self.path)
        except ConfigError:  # damaged: the run goes on, its history is lost
            return [], {}
        kept = ("command", "started", "host", "git", "status", "ended", "seconds")
        legs = before.get("legs") or [
            {"step": 0, "changes": {}} | {k: before[k] for k in kept if k in before}
        ]
        if legs[-1].get("status") == Status.running:
            legs[-1]["status"] = "killed"
        changes = {change.key: [change.old, change.new] for change in differences(config, composed.resolved)}
        return legs, changes

    def _write_record(self) -> None:
        write_json(self.path / "run.json", self.record)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Record how the block ends, if it does not end well."""
        self.begun = time.perf_counter()
        said_by_threads, threading.excepthook = threading.excepthook, _leave_to_main_thread
        try:
            yield
        except DivergedError as error:
            error.add_note(f"The run stays in {self.path}.")
            self.mark(Status.diverged, error=str(error), diverged_at_step=error.step)
            raise
        except Preempted as error:
            self.mark(Status.preempted, error=str(error), preempted_at_step=error.step)
            raise
        except Pruned as error:
            self.mark(Status.pruned, error=str(error), pruned_at_step=error.step)
            raise
        except (KeyboardInterrupt, SystemExit) as error:
            self.mark(Status.preempted, error="interrupted")
            raise KeyboardInterrupt from error  # Lightning makes an exit with status 1 of it
        except OSError as error:
            if not self._cannot_write(error):
                self._fail(error)
                raise
            failure = CannotWriteError(
                f"{error.filename or self.path}: cannot be written: {error.strerror}. What was saved before is kept; "
                f"make room or mend it, then resume={shlex.quote(str(self.path))} continues."
            )
            self._mark_in_place(Status.failed, error=str(failure))
            raise failure from error
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            threading.excepthook = said_by_threads
            unlock(self.path)

    def _fail(self, error: BaseException) -> None:
        error.add_note(f"The run stays in {self.path}.")
        self.log("".join(traceback.format_exception(error)).rstrip())
        self.mark(Status.failed, error=f"{type(error).__name__}: {error}")

    def _cannot_write(self, error: OSError) -> bool:
        """Whether an error comes from the disk of the run."""
        inside = error.filename is not None and Path(str(error.filename)).is_relative_to(self.path)
        return error.errno in FULL or (inside and error.errno in CLOSED)

    def _mark_in_place(self, status: Status, **facts: Any) -> None:
        """Record a status where there is no room for a new file; where nothing can be written, nothing is."""
        self.prepare_mark(status, **facts)
        if self.writes:
            with contextlib.suppress(OSError):
                overwrite_json(self.path / "run.json", self.record)
            self.log(f"{status.value}: {self.record['error']}")


def _leave_to_main_thread(failure: threading.ExceptHookArgs) -> None:
    """Say nothing about a disk that takes no more: a writer of event files raises it again where it is called."""
    if not isinstance(failure.exc_value, OSError):
        threading.__excepthook__(failure)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run.

    Raises:
        ConfigError: If the file is missing or damaged.
    """
    content = read_regular(path)
    if content is None:
        raise ConfigError(f"{path}: expected a readable JSON file of a run, but there is none.")
    try:
        content = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected a readable JSON file of a run, but: {error}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a JSON object, but got {type(content).__name__}.")
    return content


def read_config(path: Path) -> dict[str, Any]:
    """Read the resolved configuration of a run as plain values.

    Raises:
        ConfigError: If ``path`` is not a run directory or its ``config.yaml`` is damaged.
    """
    file = path / "config.yaml"
    if not file.is_file():
        raise ConfigError(f"{path}: expected a run directory, which has a config.yaml, but there is none.")
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: expected the mapping that a run writes, but got {content!r}.")
    return with_new_names(content)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def refuse_changed_data(path: Path, digest: str | None) -> None:
    """Refuse a run, if there is one in ``path``, whose data file had another hash than ``digest``.

    Raises:
        ConfigError: If it had.
    """
    if digest is None or not (path / "run.json").is_file():
        return
    facts = read_json(path / "run.json").get("data") or {}
    if facts.get("sha256") not in (None, digest):
        raise ConfigError(
            f"data.path: expected the content that {path} was trained on, but {facts.get('path')} has changed since "
            "(its hash is another). Put the file back, or run anew and keep both with run.again=true."
        )
