"""What ten thousand jobs cost before the first one starts: composing, packing into tasks, freezing.

python -m benchmarks freezing
"""

import tempfile
import time
from pathlib import Path

from benchmarks.ratios import show
from gaplab.config.compose import compose_tree
from gaplab.sweeps.compose_jobs import compose_jobs
from gaplab.sweeps.frozen_jobs import freeze, thaw
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.packing import pack

RATES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6)
JOBS_PER_TASK = 256


def main() -> bool:
    words = [[f"seed={seed}", f"optimizer.lr={rate}"] for seed in range(1_000) for rate in RATES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.process_time()
        composed = compose_jobs(compose_tree, words)
        composing = time.process_time() - start
        jobs = [SweepJob(one, folder / str(number)) for number, one in enumerate(composed)]
        tasks = pack(jobs, JOBS_PER_TASK, by_group=True)
        for number, task in enumerate(tasks):
            freeze(task, folder / f"{number}.json")
        freezing = time.process_time() - start - composing
        size = sum(file.stat().st_size for file in folder.glob("*.json")) / 2**20
        start = time.process_time()
        assert thaw(folder / "0.json") == tasks[0]
        thawing = time.process_time() - start
    print(f"{len(jobs)} jobs in {len(tasks)} files of {size:.1f} MiB in all")
    results = [
        show("composing and checking, CPU seconds", composing, 60),
        show("packing and freezing, CPU seconds", freezing, 10),
        show("thawing one task, CPU seconds", thawing, 5),
    ]
    return all(results)


if __name__ == "__main__":
    main()
