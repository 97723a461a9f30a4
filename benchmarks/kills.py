"""Kill a run at random moments until it is done, many times over: ``python benchmarks/kills.py --runs 100``.

Each run gets one signal (SIGKILL, SIGTERM or SIGUSR1) at a random moment and is then continued by the same
command. It must end with the numbers and the TensorBoard points of the run that nobody disturbed, and leave
no file that cannot be read.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT / "tests"))
from running import TRAIN, Command, points  # noqa: E402

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
SETTINGS = (
    "data.num_points=103",
    "data.batch_size=25",
    "network.widths=[16]",
    "network.dropout=0.2",
    "trainer.max_steps=4000",
    "trainer.eval_every_n_steps=250",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "trainer.checkpoint_every_n_seconds=0.02",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gaplab-kills-"))
    try:
        sys.exit(stress(folder, options.runs, options.devices, random.Random(options.seed)))
    finally:
        shutil.rmtree(folder)


def stress(folder: Path, num_runs: int, devices: int, chance: random.Random) -> int:
    """Disturb runs and compare them; return the number that differ."""
    words = [*TRAIN, *SETTINGS, f"trainer.devices={devices}", f"run.root={folder}"]
    undisturbed = Command([*words, "run.id=undisturbed"], folder / "undisturbed.txt")
    assert undisturbed.finish(600) == 0, undisturbed.output
    seconds = json.loads((folder / "default/undisturbed/run.json").read_text())["seconds"]
    wanted = outcome(folder / "default" / "undisturbed")
    failures = 0
    for number in range(num_runs):
        name = f"run{number}"
        kind = chance.choice(SIGNALS)
        moment = chance.uniform(0.0, 0.9) * seconds
        command = Command([*words, f"run.id={name}"], folder / f"{name}.txt")
        command.wait_for((folder / "default" / name / "run.json").is_file)
        try:
            command.process.wait(moment)
        except subprocess.TimeoutExpired:
            command.process.send_signal(kind)
        command.finish(600)
        steps = last_step(folder / "default" / name)
        code = Command([*words, f"run.id={name}"], folder / f"{name}.txt").finish(600)
        same = code == 0 and outcome(folder / "default" / name) == wanted
        failures += not same
        verdict = "same" if same else f"DIFFERENT\n{(folder / f'{name}.txt').read_text()}"
        print(f"{number}: {kind.name} after {moment:.1f} s, saved step {steps}: {verdict}", flush=True)
        shutil.rmtree(folder / "default" / name)
    print(f"{num_runs - failures} of {num_runs} ended with the numbers and points of the undisturbed run")
    return failures


def last_step(run: Path) -> int | None:
    """Read every checkpoint, which must be possible; return the step of the last one."""
    steps = {
        file.name: int(torch.load(file, weights_only=True)["global_step"])
        for file in run.glob("checkpoints/*.ckpt")
    }
    return steps.get("last.ckpt")


def outcome(run: Path) -> object:
    return json.loads((run / "result.json").read_text()), points(run)


if __name__ == "__main__":
    main()
