"""How long the report of a sweep takes, from the directories of its runs.

    python -m benchmarks reports

The runs are real: a few are trained as stacked models, and their directories are copied under other settings until
there are as many as asked for, with the tables, event files and results that a run leaves.
"""

import io
import json
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rich.console import Console

from benchmarks.ratios import show
from gaplab.config.compose import compose_config
from gaplab.reports.sweep_report import report_sweep
from gaplab.runs.resume import plan_new
from gaplab.sweeps.train_work import run_many

NUM_TRAINED = 8
SIZES = {1_000: 2, 10_935: 15}
"""Runs, and the seconds that their report may take."""


def leave_sweep(folder: Path, num_runs: int) -> None:
    """Leave a sweep of two varied settings, three seeds each."""
    words = ["trainer.max_steps=1000", "data.num_test_points=500", "trainer.accelerator=cpu"]
    trained = [compose_config([*words, f"seed={seed}"]) for seed in range(NUM_TRAINED)]
    runs = [folder.parent / f"trained-{seed}" for seed in range(NUM_TRAINED)]
    run_many([plan_new(run, path) for run, path in zip(trained, runs, strict=True)], log=lambda text: None)
    rates = math.ceil(math.sqrt(num_runs / 3))
    for number in range(num_runs):
        place, seed = divmod(number, 3)
        rate, noise = divmod(place, rates)
        own = [f"optimizer.lr={0.001 * (1 + rate)}", f"data.noise={0.01 * (1 + noise):.2f}", f"seed={seed}"]
        target = folder / ",".join(word.split(".")[-1] if "lr" in word else word for word in own)
        weights = shutil.ignore_patterns("*.ckpt")
        shutil.copytree(runs[number % NUM_TRAINED], target, ignore=weights, copy_function=_link)
        (target / "overrides.yaml").unlink()
        (target / "overrides.yaml").write_text(yaml.safe_dump([*words, *own]))
    (folder / "sweep.json").write_text(json.dumps({"jobs": [path.name for path in folder.iterdir()]}))


def _link(source: str, target: str) -> None:
    os.link(source, target)


def main() -> bool:
    kept = []
    for num_runs, most in SIZES.items():
        with tempfile.TemporaryDirectory() as name:
            sweep = Path(name) / "sweep"
            sweep.mkdir()
            leave_sweep(sweep, num_runs)
            start = time.process_time()
            report_sweep(sweep, Console(file=io.StringIO()))
            spent = time.process_time() - start
        print(f"{num_runs} runs: {1_000 * spent / num_runs:.2f} ms of processor time each", file=sys.stderr)
        kept.append(show(f"report of {num_runs} runs, CPU seconds", spent, most))
    return all(kept)


if __name__ == "__main__":
    main()
