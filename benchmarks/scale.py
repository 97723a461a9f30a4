"""Whether a sweep of 10,000 runs costs ten times one of 1,000: time, disk, and the memory of its processes.

    python -m benchmarks.scale --runs 1000 10000

The whole command, from start to report, trains small networks for 300 steps each and leaves ordinary run directories.
Memory is the highest resident size of the process that was started and of the largest of its workers, as the Linux
kernel counts it.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ratios import show

PROJECT = Path(__file__).parents[1]
SEEDS = 50
WORDS = (
    *(
        "hydra/launcher=vectorized",
        "trainer.max_steps=300",
        "trainer.accelerator=cpu",
        "trainer.progress_bar=false",
    ),
    *("network.widths=[20]", "data.num_points=200", "data.num_test_points=1000", "data.num_val_points=500"),
)
BLOCK = 512
"""Bytes of a block, in which ``stat`` counts."""


@dataclass(slots=True)
class Cost:
    """What a command took."""

    wall_seconds: float
    cpu_seconds: float
    parent_mib: float
    worker_mib: float
    """Of the largest worker; 0 where there was none."""


def command_cost(*words: str) -> Cost:
    """Run ``python WORDS`` and return what it took, with all processes that it started."""
    peaks: dict[int, float] = {}
    before, start = _cpu_seconds(), time.perf_counter()
    with subprocess.Popen([sys.executable, *words], cwd=PROJECT, stdout=subprocess.DEVNULL) as process:
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peaks, over))
        watch.start()
        code = process.wait()
        over.set()
        watch.join()
    if code:
        raise RuntimeError(f"python {' '.join(words)} ended with {code}")
    workers = [peak for pid, peak in peaks.items() if pid != process.pid]
    seconds = time.perf_counter() - start
    return Cost(seconds, _cpu_seconds() - before, peaks[process.pid], max(workers, default=0.0))


def _watch(parent: int, peaks: dict[int, float], over: threading.Event) -> None:
    """Note the highest resident size in MiB of a process and its children, by number, until it is over."""
    while not over.wait(0.2):
        for pid in (parent, *_children(parent)):
            peaks[pid] = max(peaks.get(pid, 0.0), _peak_mib(pid))


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []


def _peak_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1_024 for line in lines if line.startswith("VmHWM")), 0.0)


def _cpu_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def disk_mib(folder: Path) -> float:
    """Return the room that a folder takes on its disk."""
    return sum(file.lstat().st_blocks for file in folder.rglob("*")) * BLOCK / 2**20


def sweep_cost(folder: Path, num_runs: int) -> Cost:
    """Train a sweep of 50 seeds a setting, and print what it and its report took."""
    rates = [f"{0.001 * (1 + number):g}" for number in range(-(-num_runs // SEEDS))]
    place = f"hydra.sweep.dir={folder}"
    cost = command_cost(
        *("train.py", "-m", place, f"seed=range(0,{SEEDS})", f"optimizer.lr={','.join(rates)}"), *WORDS
    )
    again = command_cost("-m", "gaplab.report", str(folder))
    print(
        f"| {num_runs:,} | {cost.wall_seconds:.0f} | {cost.cpu_seconds:.0f} | {disk_mib(folder):.0f} "
        f"| {cost.parent_mib:.0f} | {cost.worker_mib:.0f} | {again.wall_seconds:.1f} | {again.parent_mib:.0f} |",
        flush=True,
    )
    return cost


def main(arguments: list[str] | None = None) -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000])
    options = parser.parse_args(arguments or [])
    print(f"{len(os.sched_getaffinity(0))} processors")
    print("| runs | seconds | CPU s | disk MiB | first process MiB | worker MiB | report s | report MiB |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    costs = {}
    with tempfile.TemporaryDirectory() as name:
        for num_runs in options.runs:
            costs[num_runs] = sweep_cost(Path(name) / str(num_runs), num_runs)
    few, many = min(costs), max(costs)
    share = many / few
    growth = costs[many].cpu_seconds / costs[few].cpu_seconds / share
    met = show("CPU seconds a run, many / few", growth, 1.1)
    return show("memory of a worker, many / few", costs[many].worker_mib / costs[few].worker_mib, 1.1) and met


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
