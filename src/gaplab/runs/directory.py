"""A run's directory: its files, its status, and who is writing to it."""

import contextlib
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from gaplab.config.compose import Composed
from gaplab.config.renamed import with_new_names
from gaplab.errors import ConfigError, DivergedError, Preempted
from gaplab.runs.provenance import provenance
from gaplab.runs.source_copies import write_sources
from gaplab.storage.atomic import write_json, write_yaml
from gaplab.storage.locking import lock, unlock
from gaplab.storage.reading import read_yaml


class Status(StrEnum):
    running = "running"
    finished = "finished"
    failed = "failed"
    diverged = "diverged"
    preempted = "preempted"


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

    def remove_checkpoints(self) -> None:
        """Remove the weights; the folder stays."""
        for file in (self.last, self.previous, self.best):
            file.unlink(missing_ok=True)

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def open(self, composed: Composed) -> None:
        """Create and lock the directory and write what is known before training.

        Raises:
            ConfigError: If the directory cannot be written, or another process works in it.
        """
        if not self.writes:
            return
        try:
            for folder in (self.last.parent, self.figures):
                folder.mkdir(parents=True, exist_ok=True)
            lock(self.path)
            write_yaml(self.path / "config.yaml", composed.resolved)
            write_yaml(self.path / "overrides.yaml", composed.overrides)
            config = composed.config
            self.record = {
                "status": Status.running.value,
                "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
                "seeds": {
                    "data": config.data_seed,
                    "init": config.init_seed,
                    "train": config.train_seed,
                },
                "started": _now(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                **provenance(),
            }
            write_sources(self.path)
            self._write_record()
        except OSError as error:
            raise ConfigError(
                f"run.root: expected a folder that can be written, but {self.path} gave: "
                f"{error.strerror or error}. Choose another with run.root=FOLDER."
            ) from error

    def prepare_mark(self, status: Status, **facts: Any) -> None:
        """Take a status and further facts into ``record``; ``mark`` without arguments writes them."""
        if "seconds" not in facts and self.begun is not None:
            facts["seconds"] = round(time.perf_counter() - self.begun, 3)
        self.record |= {"status": status.value, "ended": _now(), **facts}

    def mark(self, status: Status | None = None, **facts: Any) -> None:
        """Record a status and further facts in ``run.json``, or what ``prepare_mark`` was told."""
        if status is not None:
            self.prepare_mark(status, **facts)
        if self.writes:
            self._write_record()

    def _write_record(self) -> None:
        write_json(self.path / "run.json", self.record)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Record how the block ends, if it does not end well."""
        self.begun = time.perf_counter()
        try:
            yield
        except DivergedError as error:
            error.add_note(f"The run stays in {self.path}.")
            self.mark(Status.diverged, error=str(error), diverged_at_step=error.step)
            raise
        except Preempted as error:
            self.mark(Status.preempted, error=str(error), preempted_at_step=error.step)
            raise
        except (KeyboardInterrupt, SystemExit) as error:
            self.mark(Status.preempted, error="interrupted")
            raise KeyboardInterrupt from error  # Lightning makes an exit with status 1 of it
        except BaseException as error:
            error.add_note(f"The run stays in {self.path}.")
            self.mark(Status.failed, error=f"{type(error).__name__}: {error}")
            raise
        finally:
            unlock(self.path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run.

    Raises:
        ConfigError: If the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
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
