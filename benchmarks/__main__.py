"""Run all benchmarks, or those named: ``python -m benchmarks [NAME ...]``; ``gpu`` by itself, with its own options.

Benchmarks with options of their own stand beside them: ``python -m benchmarks.sweep --help``.
"""

import argparse
import sys
from importlib import import_module

NAMES = (
    *("training_loop", "start_up", "generation", "logging_cost", "tensorboard_sweep", "checkpointing"),
    *("freezing", "gan_loop", "reports"),
)


def main() -> None:
    if sys.argv[1:2] == ["gpu"]:
        sys.exit(import_module("benchmarks.gpu").main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or NAMES
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are: {', '.join(NAMES)} and gpu")
    results = [import_module(f"benchmarks.{name}").main() for name in names]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
