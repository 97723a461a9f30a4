"""Training loop of a GAN against the bare PyTorch loop of the same game."""

import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.ratios import interleaved, show
from gaplab.builders import build_callbacks, build_data_and_task, build_loggers, build_trainer
from gaplab.builders.process import prepare_process
from gaplab.config.compose import Composed, compose_config
from gaplab.runs.directory import RunDirectory
from gaplab.runs.recorder import Recorder

NUM_STEPS = 1_500
PLAIN = (
    "task.fourier_features=0",
    "task.latent_size=2",
    "task.latent_coins=0",
    "task.generator.dense_skip=false",
    "task.simultaneous=false",
    "task.penalty_every_n_steps=1",
    "data.batch_size=256",
)
"""The networks and the game that the bare loop has."""


def compose(folder: str) -> Composed:
    return compose_config(
        [
            "experiment=gan_ring",
            *PLAIN,
            f"run.root={folder}",
            f"trainer.max_steps={NUM_STEPS}",
            f"trainer.eval_every_n_steps={NUM_STEPS}",
            "trainer.progress_bar=false",
            "logging.pictures=false",
        ]
    )


def gaplab_seconds() -> float:
    """Return the seconds of ``Trainer.fit`` with one quick measurement at the end."""
    with tempfile.TemporaryDirectory() as folder:
        composed = compose(folder)
        config = composed.config
        prepare_process(config)
        data, task = build_data_and_task(config)
        run = RunDirectory(Path(folder) / "run")
        run.open(composed)
        callbacks = build_callbacks(config, run, Recorder(config))
        trainer = build_trainer(config, callbacks, build_loggers(config.logging, run))
        start = time.perf_counter()
        trainer.fit(task, datamodule=data)
        return time.perf_counter() - start


def mlp(outputs: int) -> nn.Sequential:
    widths = [2, 64, 64, 64, 64]
    hidden = [layer for i in range(4) for layer in (nn.Linear(widths[i], widths[i + 1]), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(64, outputs))


def bare_seconds() -> float:
    """Return the seconds of as many steps in a loop that does nothing else (relativistic, R1 + R2, EMA)."""
    data, _ = build_data_and_task(compose("unused").config)
    points = data.splits["train"].points
    points = points / points.std()
    generator, discriminator, average = mlp(2), mlp(1), mlp(2)
    of_generator = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.0, 0.99))
    of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.0, 0.99))
    batches = torch.randperm(len(points)).split(256)
    start = time.perf_counter()
    for step in range(NUM_STEPS):
        real = points[batches[step % 390]].requires_grad_()
        fake = generator(torch.randn(len(real), 2))
        seen = fake.detach().requires_grad_()
        real_scores, seen_scores = discriminator(real), discriminator(seen)
        loss = nn.functional.softplus(seen_scores - real_scores).mean()
        for scores, inputs in ((real_scores, real), (seen_scores, seen)):
            (slope,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
            loss = loss + 0.1 * 0.5 * slope.square().sum(1).mean()
        of_discriminator.zero_grad()
        loss.backward()
        of_discriminator.step()
        loss = nn.functional.softplus(discriminator(real).detach() - discriminator(fake)).mean()
        of_generator.zero_grad()
        loss.backward()
        of_generator.step()
        with torch.no_grad():
            for mean, value in zip(average.parameters(), generator.parameters(), strict=True):
                mean.lerp_(value, 0.001)
    return time.perf_counter() - start


def main() -> bool:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ratio = interleaved(gaplab_seconds, bare_seconds, repeats=3)
    torch.set_num_threads(threads)
    return show("GAN training loop / bare loop, one measurement", ratio, 1.5)
