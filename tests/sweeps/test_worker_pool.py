"""Several processes that share a sweep: the same runs as of one process, also when one of them is killed."""

import dataclasses
import json
import math
import os
import shlex
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError
from gaplab.process.children import Child, started_children
from gaplab.process.devices import Share, cpu_shares
from gaplab.process.signals import stop_signals_caught
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.resume import Plan, plan_new
from gaplab.sweeps.cost_model import worthwhile_processes
from gaplab.sweeps.schedule import cut_groups, sort_plans
from gaplab.sweeps.train_work import run_many
from gaplab.sweeps.worker_pool import WorkerPool
from quick_runs import QUICK
from running import DEADLINE, TRAIN, children, closed_gate, finished, points, running

WORDS = (*QUICK, "logging.subruns=never")
JOBS = (
    ("seed=0",),
    ("seed=1", "optimizer.lr=0.1"),
    ("seed=2", "network.widths=[5]"),
    ("seed=3",),
    ("seed=4", "optimizer=lbfgs", "data.batch_size=null"),
    ("seed=5",),
)


def plans(folder: Path, *jobs: tuple[str, ...]) -> list[Plan]:
    composed = [compose_config([*WORDS, *job]) for job in jobs]
    return [plan_new(one, folder / str(number)) for number, one in enumerate(composed)]


def started_workers(shares: Sequence[Share]) -> AbstractContextManager[list[Child]]:
    return started_children("gaplab.sweeps.worker_main", shares, own_session=True)


def status(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["status"])


def assert_same(one: Path, other: Path) -> None:
    assert json.loads((one / "result.json").read_text()) == json.loads((other / "result.json").read_text())
    assert points(one) == points(other)


@pytest.mark.thorough  # the sweeps below share their work, too
@pytest.mark.parametrize("takes_part", [False, True])
def test_two_processes_leave_the_runs_of_one(tmp_path: Path, takes_part: bool) -> None:
    before = set(children(os.getpid()))
    said: list[str] = []
    steps: list[int] = []
    options = {"max_models": 2, "compile": False, "log": said.append}
    one = run_many(plans(tmp_path / "one", *JOBS), **options)
    expected, said[:] = said[:], []
    with started_workers(cpu_shares(2)[int(takes_part) :]) as workers:
        # On a busy machine one could do all of it before the other has loaded.
        assert all(child.pipe.poll(DEADLINE) for child in workers)
        two = run_many(
            plans(tmp_path / "two", *JOBS),
            workers=workers,
            takes_part=takes_part,
            report=lambda n, _: steps.append(n),
            **options,
        )
    assert two == one
    assert not any(map(math.isnan, two))
    assert said == expected
    assert said[0].startswith("Group 1 of 2: 4 models in chunks of 2, about ")
    assert said[2].startswith("Training 1 of 6 runs one by one: L-BFGS")
    assert sum(steps) == 5 * 24
    pids = set()
    for number in range(len(JOBS)):
        assert_same(tmp_path / "one" / str(number), tmp_path / "two" / str(number))
        pids.add(json.loads((tmp_path / "two" / str(number) / "run.json").read_text())["pid"])
    assert takes_part == (os.getpid() in pids)
    assert len(pids) == 2
    assert set(children(os.getpid())) <= before, "a worker is left"


def reached(run: Path) -> int:
    """The step of a run's checkpoint; -1 before there is one."""
    last = run / "checkpoints" / "last.ckpt"
    return read_weights(last).step if last.is_file() else -1


def swept(tmp_path: Path, gated: str) -> list[str]:
    """A sweep of four runs, gated, in two processes."""
    words = [*TRAIN, "-m", *WORDS, gated, "seed=0,1,2,3", f"run.root={tmp_path / 'logs'}"]
    words += ["hydra/launcher=vectorized", "hydra.launcher.processes=2", "hydra.launcher.compile=false"]
    return [*words, "trainer.checkpoint_every_n_seconds=1e-9"]


def runs(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("logs/sweep-*/seed=*/"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one process that nobody disturbs; where they stand shows in nothing that is compared."""
    folder = tmp_path_factory.mktemp("undisturbed")
    options = {"compile": False, "max_models": 2}
    run_many(plans(folder, *[(f"seed={seed}",) for seed in range(4)]), **options)
    return folder


def test_killed_worker_is_reported_and_its_runs_are_tried_again(tmp_path: Path, undisturbed: Path) -> None:
    gate, gated = closed_gate(tmp_path, 8)
    words = swept(tmp_path, gated)
    with running(words, tmp_path / "killed.txt") as command:
        # Only at the gate are the checkpoints of a chunk of one step, so that its runs go on as one stack.
        command.wait_for(lambda: [reached(run) for run in runs(tmp_path)] == [8] * 4)
        (worker,) = command.children()
        os.kill(worker, signal.SIGKILL)
        gate.unlink()
        assert command.finish() == 1, command.output
    said = " ".join(command.output.split())
    assert "was ended by SIGKILL; 2 of its 2 runs are not done. The same command tries them again." in said
    assert "2 of 4 runs finished" in command.output
    records = [json.loads((run / "run.json").read_text()) for run in runs(tmp_path)]
    assert sorted(record["status"] for record in records) == ["failed", "failed", "finished", "finished"]
    assert len({record["pid"] for record in records}) == 2
    typed = shlex.join(["train.py", "--multirun", *words[3:]])
    assert {record["command"] for record in records} == {typed}, "what the user typed, in a worker too"
    assert {record["error"] for record in records if record["pid"] == worker} == {
        "its process was ended by SIGKILL"
    }
    again = finished(words, tmp_path / "again.txt")
    assert again.process.returncode == 0, again.output
    for seed, run in enumerate(runs(tmp_path)):
        assert_same(run, undisturbed / str(seed))


def test_control_c_reaches_all_processes_and_the_same_command_continues(
    tmp_path: Path, undisturbed: Path
) -> None:
    gate, gated = closed_gate(tmp_path, 8)
    words = swept(tmp_path, gated)
    with running(words, tmp_path / "stopped.txt") as command:
        command.wait_for(lambda: len(list(tmp_path.glob("logs/*/*/checkpoints/last.ckpt"))) == 4)
        assert len(command.children()) == 1
        command.process.send_signal(signal.SIGINT)
        assert command.finish() == 130, command.output
    assert "Saved after SIGINT" in command.output
    assert "Traceback" not in command.output
    assert [status(run) for run in runs(tmp_path)] == ["preempted"] * 4
    pids = [json.loads((run / "run.json").read_text())["pid"] for run in runs(tmp_path)]
    assert [pids.count(pid) for pid in set(pids)] == [2, 2], "each process had a chunk"
    gate.unlink()
    command = finished(words, tmp_path / "continued.txt")
    assert command.process.returncode == 0, command.output
    assert "4 of 4 runs finished" in command.output
    for seed, run in enumerate(runs(tmp_path)):
        assert_same(run, undisturbed / str(seed))


def test_memory_is_shared_by_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gaplab.sweeps.schedule.model_bytes", lambda config: 2**20)
    monkeypatch.setattr("gaplab.sweeps.schedule.free_memory", lambda device: 12 * 2**20)
    groups, _ = sort_plans(plans(tmp_path, *[(f"seed={seed}",) for seed in range(12)]), [0.0] * 12)

    def sizes(processes: int) -> list[int]:
        portions = cut_groups(groups, compile=False, processes=processes, log=said.append)
        return [len(portion.jobs) for portion in portions]

    said: list[str] = []
    assert sizes(1) == [6, 6]
    assert sizes(2) == [3, 3, 3, 3]
    assert sizes(4) == [1] * 12
    assert said[1] == "Group 1 of 1: 12 models in chunks of 3, about 1.0 MiB each and 3.0 MiB a chunk."
    with pytest.raises(ConfigError, match="one model needs 1.0 MiB"):
        sizes(7)


def test_a_worker_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    groups, _ = sort_plans(plans(tmp_path, ("seed=0",)), [0.0])
    queue = deque(cut_groups(groups, log=lambda text: None))
    match = "ended with exit code 1 before it could begin"
    with stop_signals_caught(), started_workers([{"PYTHONHOME": "/nowhere"}]) as workers:
        with pytest.raises(RuntimeError, match=match):
            list(WorkerPool(workers, None, print).answers(queue))
        assert [worker.process.returncode for worker in workers] == [1]


def test_without_a_worker_that_cannot_start_the_sweep_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    with started_workers([{"PYTHONHOME": "/nowhere"}]) as workers:
        (worker,) = workers
        worker.process.wait()
        options = {"workers": workers, "compile": False, "max_models": 1, "log": said.append}
        objectives = run_many(plans(tmp_path, ("seed=0",), ("seed=1",)), **options)
    assert not any(map(math.isnan, objectives))
    assert said[-1] == (
        "A process of the sweep ended with exit code 1 before it could begin; going on without it."
    )


def test_worker_that_is_not_needed_does_not_hold_up_the_sweep(tmp_path: Path) -> None:
    with started_workers([{"PYTHONSTARTUP": ""}]) as workers:
        (worker,) = workers
        worker.process.send_signal(signal.SIGSTOP)  # so that it never begins
        objectives = run_many(plans(tmp_path, ("seed=0",)), workers=workers, compile=False)
    assert not math.isnan(objectives[0])
    assert worker.process.poll() == -signal.SIGKILL


def test_number_of_processes_follows_the_work() -> None:
    small, large = compose_config([*WORDS]).config, compose_config(["trainer.max_steps=1000"]).config
    assert worthwhile_processes([small] * 100, 8) == 1
    assert worthwhile_processes([large] * 256, 2) == 2
    assert 2 < worthwhile_processes([large] * 1024, 64) < 16
    assert worthwhile_processes([large] * 10_000, 16) == 16
    two_threads = dataclasses.replace(large, trainer=dataclasses.replace(large.trainer, num_threads=2))
    assert worthwhile_processes([two_threads] * 10_000, 16) == 8
    whole = compose_config(["trainer.max_steps=1000", "trainer.devices=2"]).config
    assert worthwhile_processes([large, whole] * 1000, 16) == 1
    gan = compose_config(["experiment=gan_ring"]).config
    assert worthwhile_processes([gan] * 4, 4) == 4
