"""Processor time of a step of one GAN, the ring's without skips and with players in turns: K stacked ones, against JAX
where it is installed.

    PYTHONPATH=src python -m benchmarks.gan_ensemble --models 1 10 --steps 20

The contestants take turns within one run, so that other load meets all of them; on a busy machine processor time is
the figure to trust. Ours draws and gathers its batches meanwhile; JAX finds them drawn. That both play the same game is
checked first: the losses of the first step agree, the generator's after the discriminator's update. With `--alone` a
run by itself is timed as well, as the difference between two runs of unequal length through the whole run path, so
that what happens once cancels.
"""

import argparse
import importlib.util
import io
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.ratios import show
from gaplab.config.compose import Composed, compose_config
from gaplab.runs.resume import plan_new
from gaplab.stacked.gans import StackedGANs
from gaplab.stacked.stacked_runs import StackedRuns
from gaplab.train import run_one

NUM_STEPS, FIRST = 12_000, 8_000
"""Steps of the run, and the one from which a few are timed: the waves have their full amplitude there."""
TARGET = 0.7
Losses = tuple[Tensor, Tensor]
"""Those of both players, [S, K] each."""


def compose(seed: int, steps: int, *words: str) -> Composed:
    return compose_config(
        [
            *("experiment=gan_ring", f"seed={seed}", f"trainer.max_steps={steps}", "trainer.accelerator=cpu"),
            *("task.generator.dense_skip=false", "trainer.progress_bar=false", "logging.pictures=false"),
            *("data.batch_size=256", "task.simultaneous=false", "task.penalty_every_n_steps=1"),
            f"trainer.eval_every_n_steps={steps}",
            *words,
        ]
    )


def alone(steps: int, *words: str) -> float:
    """Return seconds a step."""
    spent = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, length in enumerate((steps, steps, 4 * steps)):  # the first one only warms up
            start = time.process_time()
            with redirect_stdout(io.StringIO()):
                run_one(compose(0, length, *words), Path(folder) / str(number))
            spent[length] = time.process_time() - start
    return (spent[4 * steps] - spent[steps]) / (3 * steps)


def stacked_gans(num_models: int, *, compile: bool) -> StackedGANs:
    """Return GANs before their first step."""
    with tempfile.TemporaryDirectory() as folder:
        plans = [plan_new(compose(seed, NUM_STEPS), Path(folder) / str(seed)) for seed in range(num_models)]
        ensemble = StackedRuns(plans, width=num_models, compile=compile).ensemble
    assert isinstance(ensemble, StackedGANs)
    ensemble.on_fit_start()
    return ensemble


def game(ensemble: StackedGANs, steps: list[int]) -> Callable[[], Losses]:
    """Return a function that takes some steps from where the ensemble stands."""
    active, flags = torch.ones(ensemble.width, dtype=torch.bool), [True] * ensemble.width

    def take() -> Losses:
        noted = list(ensemble.take_steps(steps, active, flags))
        found = [torch.stack([loss for tag, _, loss in noted if tag == one]) for one in ensemble.quantities]
        return found[0], found[1]

    return take


def main(arguments: list[str] | None = None) -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args(arguments or [])
    torch.set_num_threads(1)
    has_jax = importlib.util.find_spec("jax") is not None
    if not has_jax:
        print("JAX is not installed, so its row is left out; `pip install jax` adds it.")
    print("microseconds of processor time per model-step, and seconds of the first call")
    if options.alone:
        print(f"alone                 {alone(5 * options.steps) * 1e6:8.0f}", flush=True)
    met, steps = True, list(range(FIRST, FIRST + options.steps))
    for num_models in options.models:
        contestants: dict[str, Callable[[], Losses]] = {}
        if has_jax:
            from benchmarks.gan_in_jax import jax_game

            contestants["jax"] = jax_game(stacked_gans(num_models, compile=False), steps)
        for name in ("eager", "compiled"):
            contestants[name] = game(stacked_gans(num_models, compile=name == "compiled"), steps)
        spent: dict[str, list[float]] = {name: [] for name in contestants}
        first: dict[str, Losses] = {}
        for _ in range(options.repeats + 1):
            for name, take in contestants.items():
                start = time.process_time()
                losses = take()
                spent[name].append(time.process_time() - start)
                first.setdefault(name, losses)
        for name, (d_losses, g_losses) in first.items():
            for found, expected in zip((d_losses, g_losses), first["compiled"], strict=True):
                torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5, msg=name)
            fastest = min(spent[name][1:]) / (num_models * options.steps)
            print(f"{f'{num_models} {name}':22}{fastest * 1e6:8.0f}{spent[name][0]:10.1f}", flush=True)
        if has_jax:
            ratio = min(spent["compiled"][1:]) / min(spent["jax"][1:])
            met &= show(f"GAN step, {num_models} models: compiled / JAX", ratio, TARGET)
    return met


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
