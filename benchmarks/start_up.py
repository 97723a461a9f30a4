"""Start-up of the main job, a mistake and help, each against the imports it cannot do without."""

import subprocess
import sys
import tempfile

from benchmarks.ratios import interleaved, seconds, show
from benchmarks.training_loop import bare_seconds


def command_seconds(*arguments: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, *arguments], capture_output=True))


def main() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        run = interleaved(
            lambda: command_seconds("train.py", f"run.root={folder}"),
            lambda: command_seconds("-c", "import lightning.pytorch") + bare_seconds(),
            repeats=3,
        )
        step = interleaved(
            lambda: command_seconds("train.py", f"run.root={folder}", "trainer.max_steps=1"),
            lambda: command_seconds("-c", "import lightning.pytorch"),
            repeats=5,
        )
    mistake = interleaved(
        lambda: command_seconds("train.py", "optimizer.lr=fast"),
        lambda: command_seconds("-c", "import hydra"),
        repeats=5,
    )
    usage = interleaved(
        lambda: command_seconds("train.py", "--help"),
        lambda: command_seconds("-c", "import hydra"),
        repeats=5,
    )
    results = [
        show("make train / (import lightning.pytorch + bare loop)", run, 1.5),
        show("train.py trainer.max_steps=1 / import lightning.pytorch", step, 1.25),
        show("a configuration mistake / import hydra", mistake, 4),
        show("--help / import hydra", usage, 4),
    ]
    return all(results)
