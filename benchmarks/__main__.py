"""Run all benchmarks, or those named: ``python -m benchmarks [NAME ...]``; that of a GPU by itself, ``gpu``."""

import sys
from importlib import import_module

NAMES = (
    *("training_loop", "start_up", "generation", "logging_cost", "tensorboard_sweep", "checkpointing"),
    *("freezing", "gan_loop", "reports"),
)


def main() -> None:
    if sys.argv[1:2] == ["gpu"]:
        sys.exit(import_module("benchmarks.gpu").main(sys.argv[2:]))
    results = [import_module(f"benchmarks.{name}").main() for name in sys.argv[1:] or NAMES]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
