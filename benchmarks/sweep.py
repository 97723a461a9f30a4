"""Runs a second of a sweep of seeds, whole command: vectorized, one by one, and a stock program.

    python -m benchmarks.sweep --runs 256 1024

The references train 8 runs; their start-up is measured with one run and counted once. One by one, the same
command draws pictures of every run, which a stacked sweep leaves out; its time without them is shown as well.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ratios import show

PROJECT = Path(__file__).parents[1]
TARGETS = {256: (300, 25), 1_024: (450, 40)}
STEPS = 1_000


def command_seconds(*words: str) -> float:
    """Return the wall-clock seconds of a whole command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def sweep_seconds(
    folder: Path, num_runs: int, *words: str, accelerator: str = "cpu", steps: int = STEPS
) -> float:
    return command_seconds(
        *("train.py", "-m", f"run.root={new_folder(folder)}", f"seed=range(0,{num_runs})"),
        *(f"trainer.max_steps={steps}", f"trainer.accelerator={accelerator}", "trainer.progress_bar=false"),
        *words,
    )


def peer_seconds(folder: Path, num_runs: int) -> float:
    folder = new_folder(folder)
    return command_seconds(
        *("benchmarks/stock_peer.py", "-m", f"hydra.sweep.dir={folder}", f"folder={folder}"),
        *(f"seed=range(0,{num_runs})", f"max_steps={STEPS}"),
    )


def new_folder(folder: Path) -> str:
    """A folder of its own for each command: a file system may be slow where files have just been removed."""
    return tempfile.mkdtemp(dir=folder)


def scaled(seconds_of_one: float, seconds_of_some: float, some: int, num_runs: int) -> float:
    """Seconds of `num_runs` runs, where every run after the first costs the same."""
    return seconds_of_one + (seconds_of_some - seconds_of_one) / (some - 1) * (num_runs - 1)


def main(arguments: list[str] | None = None) -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[256, 1_024])
    parser.add_argument("--jobs", type=int, default=8, help="runs of the references")
    options = parser.parse_args(arguments or [])
    met = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        both = (1, options.jobs)
        references = {
            "stock peer": [peer_seconds(folder, count) for count in both],
            "one by one": [sweep_seconds(folder, count) for count in both],
            "one by one without pictures": [
                sweep_seconds(folder, count, "logging.pictures=false") for count in both
            ],
        }
        for reference, (first, some) in references.items():
            print(f"{reference}: {first:.1f} s for 1 run, {some:.1f} s for {options.jobs}", flush=True)
        sweep_seconds(folder, 256, "hydra/launcher=vectorized")  # fills caches
        for num_runs in options.runs:
            ours = sweep_seconds(folder, num_runs, "hydra/launcher=vectorized")
            print(f"{num_runs} runs vectorized: {ours:.1f} s, {num_runs / ours:.1f} runs/s", flush=True)
            targets = TARGETS.get(num_runs, (0, 0))
            for reference, target in zip(references, (*targets, 0), strict=True):
                ratio = scaled(*references[reference], options.jobs, num_runs) / ours
                text = f"{num_runs} seeds: {reference} / vectorized"
                met = show(text, ratio, target, at_least=True) and met
    return met


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
