"""A sweep of small CNNs on 8 x 8 digits, with and without normalisation: stacked against one by one, whole commands.

    python -m benchmarks.cnn_sweep --runs 32 --norms none batch

One by one, 4 runs are trained without pictures; start-up is measured with one run and counted once. Processor time, as
stacks share the processors otherwise than runs one by one do.
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ratios import show
from benchmarks.sweep import scaled, sweep_seconds

DIGITS = ("data=digits", "data.flat=false", "network=cnn", "logging.pictures=false")
NORMS = ("none", "batch", "layer")
STEPS = 500


def processor_seconds(folder: Path, num_runs: int, *words: str) -> float:
    """Return the processor time of a whole sweep and its workers."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    sweep_seconds(folder, num_runs, *DIGITS, *words, steps=STEPS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(arguments: Sequence[str] = ()) -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=4, help="runs of the reference")
    parser.add_argument("--norms", nargs="+", choices=NORMS, default=NORMS)
    options = parser.parse_args(arguments)
    met = True
    with tempfile.TemporaryDirectory() as name:
        for norm in options.norms:
            words = f"network.norm={norm}"
            stacked = ("hydra/launcher=vectorized", "hydra.launcher.compile=true", words)
            processor_seconds(Path(name), options.runs, *stacked)  # fills the compiler's cache
            ours = processor_seconds(Path(name), options.runs, *stacked)
            first, some = (processor_seconds(Path(name), count, words) for count in (1, options.jobs))
            theirs = scaled(first, some, options.jobs, options.runs)
            print(f"norm={norm}: {ours:.1f} s stacked, {theirs:.1f} s one by one", flush=True)
            ratio = theirs / ours
            met = (
                show(f"{options.runs} CNNs, norm={norm}: one by one / stacked", ratio, 1, at_least=True)
                and met
            )
    return met


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
