"""How long TensorBoard takes to show a sweep of 256 runs, and whether its HPARAMS page has a row for each."""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.ratios import show

PROJECT = Path(__file__).parents[1]
NUM_RUNS = 256
PATIENCE = 120.0


def train_sweep(folder: Path) -> None:
    """Train 256 seeds in one process; their files are those of any sweep."""
    words = [f"seed=range(0,{NUM_RUNS})", "hydra/launcher=vectorized", f"hydra.sweep.dir={folder}"]
    words += ["trainer.max_steps=1000", "trainer.accelerator=cpu", "trainer.progress_bar=false"]
    command = [sys.executable, "train.py", "-m", *words]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def opening(folder: Path) -> tuple[float, float, int]:
    """Return seconds from the start until all runs are listed and all rows are served, and the number of rows.

    A row counts if it has its last gap, and the page gets it in one answer.
    """
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1"]
    start = time.perf_counter()
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = next(filter(None, (re.search(r"http://\S+:\d+/", line) for line in process.stdout)))
            listed = 0.0
            while time.perf_counter() - start < PATIENCE:
                if not listed and len(ask(f"{found[0]}data/runs")) > NUM_RUNS:
                    listed = time.perf_counter() - start
                if listed and (rows := _rows(found[0])) == NUM_RUNS:
                    return listed, time.perf_counter() - start, rows
                time.sleep(0.1)
            return PATIENCE, PATIENCE, _rows(found[0])
        finally:
            process.terminate()


def _rows(url: str) -> int:
    tag = "final/gap_loss"
    question = {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS"], "startIndex": 0}
    question |= {"sliceSize": 10 * NUM_RUNS, "colParams": [{"metric": {"tag": tag}}]}
    groups = ask(f"{url}data/plugin/hparams/session_groups", question)["sessionGroups"]
    return sum(any(value["name"]["tag"] == tag for value in group["metricValues"]) for group in groups)


def main() -> bool:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "sweep"
        train_sweep(folder)
        listed, served, rows = min(opening(folder) for _ in range(2))
        results = [
            show(f"seconds until TensorBoard lists {NUM_RUNS} runs", listed, 10),
            show(f"seconds until HPARAMS serves {NUM_RUNS} rows with metrics", served, 10),
            show("rows on the HPARAMS page", rows, NUM_RUNS, at_least=True),
        ]
    return all(results)


if __name__ == "__main__":
    main()
