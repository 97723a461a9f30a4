"""Training loop with TensorBoard against a bare PyTorch loop that does the same updates."""

import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from benchmarks.ratios import interleaved, show
from gaplab.builders import build_callbacks, build_data_and_task, build_loggers, build_trainer
from gaplab.builders.process import prepare_process
from gaplab.config.compose import Composed, compose_config
from gaplab.runs.directory import RunDirectory
from gaplab.runs.recorder import Recorder

NUM_STEPS = 10_000


def compose(folder: str, *overrides: str) -> Composed:
    return compose_config(
        [
            f"run.root={folder}",
            f"trainer.max_steps={NUM_STEPS}",
            "data.batch_size=64",
            "data.num_points=3000",
            "trainer.progress_bar=false",
            *overrides,
        ]
    )


def gaplab_seconds(*overrides: str) -> float:
    """Return the seconds of ``Trainer.fit`` in a default run: updates, evaluations, pictures, event file."""
    with tempfile.TemporaryDirectory() as folder:
        composed = compose(folder, *overrides)
        config = composed.config
        prepare_process(config)
        data, task = build_data_and_task(config)
        run = RunDirectory(Path(folder) / "run")
        run.open(composed)
        trainer = build_trainer(
            config, build_callbacks(config, run, Recorder(config)), build_loggers(config.logging, run)
        )
        start = time.perf_counter()
        trainer.fit(task, datamodule=data)
        return time.perf_counter() - start


def bare_seconds() -> float:
    """Return the seconds of the same number of updates in a loop that does nothing else."""
    config = compose("unused").config
    data, _ = build_data_and_task(config)
    points, labels = data.splits["train"].points, data.splits["train"].labels
    network = nn.Sequential(nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 3))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    start = time.perf_counter()
    step = 0
    while step < NUM_STEPS:
        for chosen in torch.randperm(len(points)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(network(points[chosen]), labels[chosen]).backward()
            optimizer.step()
            step += 1
            if step == NUM_STEPS:
                break
    return time.perf_counter() - start


def main() -> bool:
    gaplab_seconds("trainer.compile=true")  # fills the compiler's cache
    ratio = interleaved(gaplab_seconds, bare_seconds, repeats=5)
    quiet = interleaved(
        lambda: gaplab_seconds(f"trainer.eval_every_n_steps={NUM_STEPS}"), bare_seconds, repeats=3
    )
    compiled = interleaved(lambda: gaplab_seconds("trainer.compile=true"), bare_seconds, repeats=3)
    alone = interleaved(
        lambda: gaplab_seconds("trainer.compile=true", f"trainer.eval_every_n_steps={NUM_STEPS}"),
        bare_seconds,
        repeats=3,
    )
    loop = interleaved(
        lambda: gaplab_seconds(
            "trainer.compile=true", f"trainer.eval_every_n_steps={NUM_STEPS}", "logging.pictures=false"
        ),
        bare_seconds,
        repeats=3,
    )
    met = show("training loop / bare loop, compiled (warm cache), one evaluation, no pictures", loop, 0.3)
    met &= show("training loop / bare loop, compiled (warm cache), evaluations and pictures", compiled, 0.6)
    met &= show("training loop / bare loop, compiled (warm cache), one evaluation", alone, 0.4)
    met &= show("training loop / bare loop, evaluations and pictures included", ratio, 1.5)
    return show("training loop / bare loop, one evaluation", quiet, 1.5) and met
