"""What gaplab does on a GPU: its tests there, one run, the core loop of K models, whole sweeps; a table for the docs.

    python -m benchmarks gpu
    python -m benchmarks gpu --device cpu --small --no-compile    # the same steps in a minute, to see that they work

It needs the repository, torch with CUDA, and what gaplab itself needs; no network. Where JAX is installed and sees the
same kind of device, it trains the same models. Exit code 2 where there is no GPU.
"""

import argparse
import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.ensemble_core import ClassifierFunctions, jax_training, train, training_step
from benchmarks.sweep import PROJECT, sweep_seconds
from gaplab.config.compose import compose_config
from gaplab.stacked.compile import CompiledFunction
from gaplab.train import run_one

MODELS, SMALL_MODELS = (64, 256, 1_024, 4_096, 16_384, 65_536), (4, 8)
SWEEPS, SMALL_SWEEPS = (1_024, 16_384), (4,)
PRECISIONS = {"cuda": ("32-true", "bf16-mixed", "16-mixed"), "cpu": ("32-true", "bf16-mixed")}
BARE = (
    "logging.tensorboard=false",
    "logging.csv=false",
    "logging.checkpoints=false",
    "trainer.test_only_at_end=true",
)
"""What a sweep of ten thousand leaves out: one file a run is enough of a file system's time."""


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured as Markdown; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--device", choices=PRECISIONS, default="cuda")
    parser.add_argument("--small", action="store_true", help="few models and steps")
    parser.add_argument("--no-compile", action="store_true", help="without the compiler")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            f"There is no GPU here that torch {torch.__version__} can use. `python -m benchmarks gpu --device cpu "
            "--small` goes through the same steps on a CPU.",
            file=sys.stderr,
        )
        return 2
    name = torch.cuda.get_device_name() if options.device == "cuda" else "a CPU"
    print(f"{name}, torch {torch.__version__}, Python {sys.version.split()[0]}\n", flush=True)
    failed = run_tests() if options.device == "cuda" else 0
    few = ["data.num_test_points=1000"] if options.small else []
    single_runs(options.device, 40 if options.small else 10_000, few)
    models, steps = (SMALL_MODELS, 4) if options.small else (MODELS, 40)
    core_loop(options.device, models, steps, compile=not options.no_compile)
    sizes, steps = (SMALL_SWEEPS, 20) if options.small else (SWEEPS, 1_000)
    whole_sweeps(options.device, sizes, steps, few)
    return 1 if failed else 0


def run_tests() -> int:
    """Run the tests that are marked ``gpu``; return the exit code of pytest, 0 where it is not installed."""
    if importlib.util.find_spec("pytest") is None:
        print("The tests are left out: pytest is not installed.\n")
        return 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/system/test_gpu.py"], cwd=PROJECT
    )
    print(f"\nTests marked gpu: {'passed' if done.returncode == 0 else 'FAILED'}\n", flush=True)
    return done.returncode


def single_runs(device: str, steps: int, more: list[str]) -> None:
    """Print what a run costs in each precision, and in several processes where there are several GPUs."""
    print(
        f"One run of {steps} steps\n\n| precision | processes | seconds | steps/s | test loss |\n|---|---|---|---|---|"
    )
    several = torch.cuda.device_count() if device == "cuda" else 1
    for precision in PRECISIONS[device]:
        seconds, loss = _seconds_of_run(device, precision, steps, more)
        print(f"| {precision} | 1 | {seconds:.1f} | {steps / seconds:,.0f} | {loss:.4f} |", flush=True)
    if several > 1:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            words = [f"trainer.max_steps={steps}", f"trainer.devices={several}", f"run.root={folder}"]
            subprocess.run(
                [sys.executable, "train.py", *words], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL
            )
            seconds = time.perf_counter() - start
        print(
            f"| 32-true | {several}, with start-up | {seconds:.1f} | {steps / seconds:,.0f} | |", flush=True
        )


def _seconds_of_run(device: str, precision: str, steps: int, more: list[str]) -> tuple[float, float]:
    """Return the seconds of a whole run, start-up of the process aside, and its test loss; a short one warms up."""
    accelerator = "gpu" if device == "cuda" else "cpu"
    words = [
        f"trainer.precision={precision}",
        f"trainer.accelerator={accelerator}",
        "trainer.progress_bar=false",
    ]
    words += ["logging.pictures=false", "trainer.devices=1", *more]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run_one(compose_config([*words, "trainer.max_steps=20"]), Path(folder) / "warm")
        start = time.perf_counter()
        result = run_one(compose_config([*words, f"trainer.max_steps={steps}"]), Path(folder) / "run")
        return time.perf_counter() - start, result.last["loss/test"]


def core_loop(device: str, models: tuple[int, ...], steps: int, *, compile: bool) -> None:
    """Print microseconds of a model-step and memory a model: eager, compiled, and JAX on the same kind of device."""
    with_jax = has_jax(device)
    print(
        f"\nCore loop, {steps} steps of an MLP 2-100-3, batch 64, Adam; microseconds of a model-step\n\n"
        "| models | eager | compiled | JAX | KiB a model, eager | KiB, compiled | largest difference |\n"
        f"{'|---' * 7}|",
        flush=True,
    )
    for num_models in models:
        functions = ClassifierFunctions(num_models, steps, device)
        contestants: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
            "eager": partial(train, functions, CompiledFunction(training_step, compile=False), num_models)
        }
        if compile:
            step = CompiledFunction(training_step, compile=True)
            contestants["compiled"] = partial(train, functions, step, num_models)
        if with_jax:
            contestants["jax"] = jax_training(functions)
        try:
            found = {name: _measured(call, device, num_models) for name, call in contestants.items()}
        except torch.OutOfMemoryError:
            print(f"| {num_models:,} | the card has too little memory |{' |' * 5}", flush=True)
            return
        weights = [one[2] for one in found.values()]
        apart = max(
            float((w[name].cpu() - p.cpu()).abs().max()) for w in weights for name, p in weights[0].items()
        )
        times = [_cell(found, name, 0, 1e6 / (num_models * steps)) for name in ("eager", "compiled", "jax")]
        memory = [_cell(found, name, 1, 1 / 2**10) for name in ("eager", "compiled")]
        print(f"| {num_models:,} | {' | '.join(times + memory)} | {apart:.1e} |", flush=True)


def has_jax(device: str) -> bool:
    """Whether JAX is installed and trains on the same kind of device; a sentence where it does not."""
    os.environ.setdefault(
        "XLA_PYTHON_CLIENT_PREALLOCATE", "false"
    )  # it would take three quarters of the memory
    if importlib.util.find_spec("jax") is None:
        print("\nJAX is not installed, so its column stays empty.")
        return False
    import jax

    fits = jax.default_backend() == ("gpu" if device == "cuda" else "cpu")
    if not fits:
        print(f"\nJAX is installed for {jax.default_backend()} only, so its column stays empty.")
    return fits


Measured = tuple[float, float, dict[str, torch.Tensor]]
"""Seconds of the fastest of three calls, bytes a model at the highest, and the trained weights."""


def _measured(call: Callable[[], dict[str, torch.Tensor]], device: str, num_models: int) -> Measured:
    weights = call()  # compiles
    on_gpu = device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(3):
        _wait(on_gpu)
        start = time.perf_counter()
        weights = call()
        _wait(on_gpu)
        seconds.append(time.perf_counter() - start)
    return min(seconds), torch.cuda.max_memory_allocated() / num_models if on_gpu else 0.0, weights


def _wait(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.synchronize()


def _cell(found: dict[str, Measured], name: str, place: int, factor: float) -> str:
    """Return a number of a contestant; nothing for one that took no part, and for memory that nobody counts."""
    value = found[name][place] if name in found else 0.0
    assert isinstance(value, float)
    return f"{value * factor:.3g}" if value else ""


def whole_sweeps(device: str, sizes: tuple[int, ...], steps: int, more: list[str]) -> None:
    """Print the seconds of whole commands that train seeds as stacked models."""
    print(
        f"\nWhole sweeps of {steps} steps, files and report included\n\n| seeds | seconds | runs/s |\n|---|---|---|"
    )
    accelerator = "gpu" if device == "cuda" else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        for num_runs in sizes:
            words = ("hydra/launcher=vectorized", *BARE, *more)
            seconds = sweep_seconds(Path(folder), num_runs, *words, accelerator=accelerator, steps=steps)
            print(f"| {num_runs:,} | {seconds:.1f} | {num_runs / seconds:,.1f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
