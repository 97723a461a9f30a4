"""A run that is stopped, killed or damaged continues as if nothing had been."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from gaplab.callbacks.checkpoints import Checkpoints, keep_previous
from gaplab.callbacks.curves import GapCurves
from gaplab.config.compose import compose_config
from gaplab.distributed.requeue import requeue
from gaplab.errors import ConfigError, Preempted
from gaplab.process.signals import STOP_SIGNAL, STOP_SIGNALS, stop_signals_caught
from gaplab.runs.resume import plan_new, plan_resumption
from gaplab.storage.locking import lock, unlock
from gaplab.train import run_one, run_planned
from quick_runs import DRAWN, QUICK, Compose, set_once
from running import DEADLINE, PROJECT, TRAIN, closed_gate, finished, points, running

StopAt = Callable[[int, int], None]

DETAILS = (
    "trainer.precision=64-true",
    "trainer.max_steps=60",
    "trainer.eval_every_n_steps=10",
    "data.batch_size=7",
    "network.dropout=0.2",
    "optimizer.schedule=cosine",
    "optimizer.warmup_steps=5",
    "trainer.early_stopping_patience=1000",
    *DRAWN,
)


def outcome(run: Path) -> tuple[object, dict[tuple[str, int], bytes]]:
    """The final numbers and the TensorBoard points of a run, for an exact comparison."""
    return json.loads((run / "result.json").read_text()), points(run)


def status(run: Path) -> str:
    record = json.loads((run / "run.json").read_text())
    return str(record["status"])


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[StopAt]:
    """Make the process send itself a signal during the measurement at a step."""

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests may ignore it
    measured = GapCurves.on_validation_end

    def plan(step: int, number: int) -> None:
        def measure_and_signal(self: GapCurves, trainer: Trainer, module: LightningModule) -> None:
            measured(self, trainer, module)
            if trainer.state.fn == "fit" and trainer.global_step == step:
                signal.raise_signal(number)

        monkeypatch.setattr(GapCurves, "on_validation_end", measure_and_signal)

    yield plan
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the others are compared with."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    run_one(compose_config(set_once(*QUICK, *DETAILS)), path)
    return path


@pytest.mark.parametrize("number", STOP_SIGNALS, ids=lambda number: number.name)
def test_run_stopped_by_a_signal_continues_bit_identically(
    quick: Compose, tmp_path: Path, stop_at: StopAt, number: signal.Signals, undisturbed: Path
) -> None:
    composed = quick(*DETAILS)
    handlers = [signal.getsignal(number) for number in STOP_SIGNALS]
    stop_at(20, number)
    with pytest.raises(Preempted, match=f"{number.name} at step 20"):
        run_planned(plan_new(composed, tmp_path / "stopped"))
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == handlers
    assert status(tmp_path / "stopped") == "preempted"
    stop_at(-1, number)
    run_planned(plan_new(composed, tmp_path / "stopped"))
    assert status(tmp_path / "stopped") == "finished"
    assert outcome(tmp_path / "stopped") == outcome(undisturbed)


def test_points_after_the_last_checkpoint_do_not_appear_twice(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Path
) -> None:
    composed = quick(*DETAILS, "trainer.checkpoint_every_n_seconds=1e-9")
    save = Checkpoints.save

    def save_until_step_20(self: Checkpoints, trainer: Trainer) -> None:
        if trainer.global_step <= 20:
            save(self, trainer)

    def fail(self: GapCurves, trainer: Trainer, module: LightningModule) -> None:
        measured(self, trainer, module)
        if trainer.global_step == 40:
            trainer.loggers[0].experiment.flush()  # type: ignore[attr-defined]
            raise MemoryError

    measured = GapCurves.on_validation_end
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_until_step_20)
        patch.setattr(GapCurves, "on_validation_end", fail)
        with pytest.raises(MemoryError):
            run_planned(plan_new(composed, tmp_path / "cut"))
    assert ("./loss/test", 40) in points(tmp_path / "cut")
    run_planned(plan_new(composed, tmp_path / "cut"))
    assert outcome(tmp_path / "cut") == outcome(undisturbed)


def test_damaged_last_checkpoint_falls_back_to_the_one_before(
    quick: Compose, tmp_path: Path, stop_at: StopAt, capsys: pytest.CaptureFixture[str], undisturbed: Path
) -> None:
    composed = quick(*DETAILS, "trainer.checkpoint_every_n_seconds=1e-9")
    stop_at(30, signal.SIGUSR2)
    path = tmp_path / "damaged"
    with pytest.raises(Preempted):
        run_planned(plan_new(composed, path))
    stop_at(-1, signal.SIGUSR2)
    last = path / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    (path / "checkpoints" / ".last.ckpt.abc").write_bytes(b"left by a kill")
    plan = plan_new(composed, path)
    assert "Continuing from previous.ckpt at step 20" in capsys.readouterr().out
    run_planned(plan)
    assert outcome(path) == outcome(undisturbed)
    assert not list(path.rglob(".*.*"))


def test_two_damaged_checkpoints_are_an_error(quick: Compose, tmp_path: Path, stop_at: StopAt) -> None:
    composed = quick("data.batch_size=7", "trainer.checkpoint_every_n_seconds=1e-9")
    stop_at(16, signal.SIGUSR1)
    with pytest.raises(Preempted):
        run_planned(plan_new(composed, tmp_path / "run"))
    for name in ("last", "previous"):
        (tmp_path / "run" / "checkpoints" / f"{name}.ckpt").write_bytes(b"x")
    with pytest.raises(ConfigError, match="readable checkpoint"):
        plan_new(composed, tmp_path / "run")
    unlock(tmp_path / "run")


def test_previous_checkpoint_is_kept_while_the_last_stays_in_place(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    keep_previous(last)
    assert list(tmp_path.iterdir()) == []
    last.write_text("1")
    keep_previous(last)
    last.unlink()
    last.write_text("2")
    keep_previous(last)
    assert last.read_text() == (tmp_path / "previous.ckpt").read_text() == "2"


def test_directory_of_a_live_run_is_refused_with_its_owner(tmp_path: Path, quick: Compose) -> None:
    composed = quick("data.batch_size=7")
    run_one(composed, tmp_path / "run")
    script = (
        "import sys, pathlib; from gaplab.storage.locking import lock;"
        "lock(pathlib.Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        for attempt in (
            lambda: plan_new(composed, tmp_path / "run"),
            lambda: plan_resumption(tmp_path / "run", ["trainer.max_steps=30"]),
            lambda: run_one(composed, tmp_path / "run"),
        ):
            with pytest.raises(ConfigError, match=f"at work in this directory .process {other.pid} on "):
                attempt()
        other.kill()
    lock(tmp_path / "run")
    unlock(tmp_path / "run")


def test_second_ctrl_c_does_not_wait() -> None:
    with stop_signals_caught():
        signal.raise_signal(signal.SIGINT)
        assert STOP_SIGNAL.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_terminal_that_closes_lets_the_run_save(tmp_path: Path) -> None:
    words = [*TRAIN, *set_once(*QUICK, "trainer.max_steps=10000000", "trainer.progress_bar=true")]
    words += [
        "trainer.compile=false",
        "trainer.checkpoint_every_n_seconds=0.1",
        f"run.root={tmp_path}",
        "run.id=mine",
    ]
    run = tmp_path / "default" / "mine"
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests may ignore it
        os.execve(words[0], words, environment)
    deadline = time.monotonic() + DEADLINE
    while not (run / "checkpoints" / "last.ckpt").is_file() and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65_536)
    os.close(terminal)  # the kernel sends SIGHUP, and from now on to write there is an error
    while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.02)
    if not ended[0]:
        os.kill(pid, signal.SIGKILL)
        ended = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended[1]) == 75
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "preempted"
    assert record["error"].startswith("SIGHUP at step ")


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals_caught():
            signal.raise_signal(signal.SIGHUP)
            assert STOP_SIGNAL.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("number", "environment", "asked"),
    [
        (signal.SIGUSR1, {"SLURM_JOB_ID": "7"}, "requeue 7\n"),
        (
            signal.SIGUSR2,
            {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"},
            "requeue 7_2\n",
        ),
        (signal.SIGTERM, {"SLURM_JOB_ID": "7"}, None),
        (signal.SIGUSR1, {}, None),
        (signal.SIGUSR1, {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "interactive"}, None),
    ],
)
def test_only_warnings_requeue_and_only_batch_jobs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    environment: dict[str, str],
    asked: str | None,
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    stop = Preempted(number)
    for _ in range(2):  # a run asks, and the job that it belongs to
        requeue(stop, environment)
    seen = tmp_path / "asked"
    assert (seen.read_text() if seen.exists() else None) == asked


@pytest.mark.ddp
def test_two_processes_stopped_then_killed_continue_bit_identically(tmp_path: Path) -> None:
    gate, gated = closed_gate(tmp_path, 20)
    gate.unlink()
    words = [
        *TRAIN,
        gated,
        "data.num_points=103",
        "data.batch_size=25",
        "network.widths=[16]",
        "network.dropout=0.2",
        "trainer.max_steps=60",
        "trainer.eval_every_n_steps=20",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.progress_bar=false",
        "trainer.checkpoint_every_n_seconds=1e-9",
        f"run.root={tmp_path}",
    ]
    reference = finished([*words, "run.id=undisturbed"], tmp_path / "undisturbed.txt")
    assert reference.process.returncode == 0, reference.output
    run = tmp_path / "default" / "disturbed"
    last = run / "checkpoints" / "last.ckpt"

    def step() -> int:
        return int(torch.load(last, weights_only=True)["global_step"]) if last.is_file() else -1

    gate.write_text("20")
    with running([*words, "run.id=disturbed"], tmp_path / "stopped.txt") as command:
        command.wait_for(lambda: step() == 20)
        command.process.send_signal(signal.SIGTERM)
        assert command.finish() == 75, command.output
    assert status(run) == "preempted"
    gate.write_text("40")
    with running([*words, "run.id=disturbed"], tmp_path / "killed.txt") as command:
        command.wait_for(lambda: step() == 40)
        command.process.kill()
        command.finish()
    gate.unlink()
    command = finished([*words, "run.id=disturbed"], tmp_path / "continued.txt")
    assert command.process.returncode == 0, command.output
    assert outcome(run) == outcome(tmp_path / "default" / "undisturbed")
