"""Fixtures that many tests share: small configurations, and runs that are done once a session."""

import os
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from forked import skip_fsync
from gaplab.callbacks.checkpoints import Checkpoints
from gaplab.config import extensions
from gaplab.config.compose import Composed, compose_config
from gaplab.metrics.generative import two_sample
from gaplab.process.signals import STOP_SIGNAL
from gaplab.storage.locking import unlock_all
from gaplab.tasks import gan, gan_scores, point_sampler
from gaplab.train import run_one
from quick_runs import DRAWN, QUICK, Compose
from remembered_hydra import remember

remember()
skip_fsync()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch to one thread, and give back the process-wide switches that a run sets."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(autouse=True)
def no_directory_stays_locked() -> Iterator[None]:
    """Let go of what a test has planned and not run: a test stands for a process."""
    yield
    unlock_all()


@pytest.fixture(autouse=True)
def no_extension_stays_known() -> Iterator[None]:
    """Forget the extensions that a test has imported: those of a process belong to all of its runs and children."""
    sources, files = dict(extensions._sources), os.environ.get(extensions.LOADED)
    yield
    extensions._sources.clear()
    extensions._sources.update(sources)
    os.environ.pop(extensions.LOADED, None)
    if files is not None:
        os.environ[extensions.LOADED] = files


@pytest.fixture
def quick(tmp_path: Path) -> Compose:
    """Compose a quick run below ``tmp_path``, with further overrides."""

    def compose(*overrides: str) -> Composed:
        return compose_config([*QUICK, f"run.root={tmp_path}", *overrides])

    return compose


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let GANs be judged on few draws, by few trees, where a test compares runs and not scores."""
    monkeypatch.setattr(two_sample, "NUM_PERMUTATIONS", 20)
    monkeypatch.setattr(two_sample, "tree_judge", partial(two_sample.tree_judge, num_trees=3))
    monkeypatch.setattr(gan_scores, "NUM_CEILING_DRAWS", 1)
    for task in (gan, point_sampler):
        monkeypatch.setattr(task, "SHAPE_POINTS", 2_000)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished quick run; tests read it and never write to it."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    run_one(compose_config([*QUICK, *DRAWN, "data.label_noise=0.2"]), path)
    return path


@pytest.fixture
def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Let a run be interrupted at a step, as by a signal: it saves and raises ``Preempted``."""
    original = Checkpoints.on_train_batch_start

    def arm(step: int | None) -> None:
        def hook(self: Checkpoints, trainer: Trainer, *arguments: Any) -> None:
            STOP_SIGNAL.number = signal.SIGTERM if step is not None and trainer.global_step >= step else 0
            original(self, trainer, *arguments)

        monkeypatch.setattr(Checkpoints, "on_train_batch_start", hook)

    yield arm
    STOP_SIGNAL.number = 0
