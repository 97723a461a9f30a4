"""Runs a second of a sweep of seeds, whole command: vectorized, one by one, and a stock program.

    python -m benchmarks.sweep --runs 256 1024

The two references train 8 runs; their start-up is measured with one run and counted once.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ratios import show

PROJECT = Path(__file__).parents[1]
TARGETS = {256: (60, 25), 1_024: (100, 40)}
STEPS = 1_000


def command_seconds(*words: str) -> float:
    """Return the wall-clock seconds of a whole command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def sweep_seconds(num_runs: int, *words: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return command_seconds(
            *("train.py", "-m", f"run.root={folder}", f"seed=range(0,{num_runs})"),
            *(f"trainer.max_steps={STEPS}", "trainer.accelerator=cpu", "trainer.progress_bar=false", *words),
        )


def peer_seconds(num_runs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return command_seconds(
            *("benchmarks/stock_peer.py", "-m", f"hydra.sweep.dir={folder}", f"folder={folder}"),
            *(f"seed=range(0,{num_runs})", f"max_steps={STEPS}"),
        )


def scaled(seconds_of_one: float, seconds_of_some: float, some: int, num_runs: int) -> float:
    """Seconds of `num_runs` runs, where every run after the first costs the same."""
    return seconds_of_one + (seconds_of_some - seconds_of_one) / (some - 1) * (num_runs - 1)


def main(arguments: list[str] | None = None) -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[256, 1_024])
    parser.add_argument("--jobs", type=int, default=8, help="runs of the references")
    options = parser.parse_args(arguments or [])
    peer = peer_seconds(1), peer_seconds(options.jobs)
    alone = sweep_seconds(1, "logging.pictures=false"), sweep_seconds(options.jobs, "logging.pictures=false")
    print(
        f"seconds of 1 and {options.jobs} runs: stock {peer}, one by one without pictures {alone}", flush=True
    )
    met = True
    for num_runs in options.runs:
        ours = sweep_seconds(num_runs, "hydra/launcher=vectorized")
        print(f"{num_runs} runs vectorized: {ours:.1f} s, {num_runs / ours:.1f} runs/s", flush=True)
        for name, pair, target in zip(
            ("stock peer", "one by one"), (peer, alone), TARGETS.get(num_runs, (0, 0)), strict=True
        ):
            ratio = scaled(*pair, options.jobs, num_runs) / ours
            met = show(f"{num_runs} seeds: {name} / vectorized", ratio, target, at_least=True) and met
    return met


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
