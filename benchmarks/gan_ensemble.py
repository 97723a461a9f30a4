"""Processor time of a step of one GAN of `experiment=gan_ring`: alone, and among K stacked ones.

    PYTHONPATH=src python -m benchmarks.gan_ensemble --models 10 --steps 20 [--compile]

Alone: the difference between two runs of unequal length through the whole run path, so that what happens once
cancels. On a busy machine processor time is the figure to trust.
"""

import argparse
import io
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

import torch

from gaplab.config.compose import Composed, compose_config
from gaplab.runs.resume import plan_new
from gaplab.stacked.stacked_runs import StackedRuns
from gaplab.train import run_one


def compose(seed: int, steps: int) -> Composed:
    return compose_config(
        [
            *("experiment=gan_ring", f"seed={seed}", f"trainer.max_steps={steps}", "trainer.accelerator=cpu"),
            *("trainer.progress_bar=false", "logging.pictures=false", f"trainer.eval_every_n_steps={steps}"),
        ]
    )


def alone(steps: int) -> float:
    """Return seconds a step."""
    spent = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, length in enumerate((steps, steps, 4 * steps)):  # the first one only warms up
            start = time.process_time()
            with redirect_stdout(io.StringIO()):
                run_one(compose(0, length), Path(folder) / str(number))
            spent[length] = time.process_time() - start
    return (spent[4 * steps] - spent[steps]) / (3 * steps)


def stacked(num_models: int, steps: int, *, compile: bool, repeats: int = 3) -> tuple[float, float, float]:
    """Return seconds a model-step, the part of it that draws and gathers batches, and those of the first step."""
    with tempfile.TemporaryDirectory() as folder:
        plans = [plan_new(compose(seed, 1_000), Path(folder) / str(seed)) for seed in range(num_models)]
        ensemble = StackedRuns(plans, width=num_models, compile=compile).ensemble
        ensemble.on_fit_start()
        active, flags = torch.ones(num_models, dtype=torch.bool), [True] * num_models
        spent, gathering = [], []
        for block in ([0], *([list(range(1, steps + 1))] * repeats)):
            start = time.process_time()
            list(ensemble.take_steps(block, active, flags))
            spent.append(time.process_time() - start)
            start = time.process_time()
            ensemble.batches.gather(block, flags)  # type: ignore[operator, union-attr]
            gathering.append(time.process_time() - start)
    model_steps = num_models * steps
    return min(spent[1:]) / model_steps, min(gathering[1:]) / model_steps, spent[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[10])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("microseconds of processor time per model-step")
    print(f"alone                 {alone(5 * options.steps) * 1e6:8.0f}")
    for num_models in options.models:
        for compile in (False, True)[: 1 + options.compile]:
            step, gather, first = stacked(num_models, options.steps, compile=compile)
            name = f"{num_models} {'compiled' if compile else 'eager'}"
            print(
                f"{name:22}{step * 1e6:8.0f}, of which drawing and gathering {gather * 1e6:.0f}; "
                f"first step {first:.1f} s"
            )


if __name__ == "__main__":
    main()
