"""Test phenomena and write their pages: ``python -m gaplab.phenomena [NAME ...]``; without names, all."""

import argparse
import time
from pathlib import Path

import torch

from gaplab.config.phenomenon import PhenomenonName
from gaplab.phenomena.catalogue import load_phenomenon, seeds_from
from gaplab.phenomena.pages import print_verdict, write_checks, write_index, write_page
from gaplab.process.exits import readable_exits
from gaplab.process.output import steady_output
from gaplab.process.signals import stop_signals_obeyed


def main(arguments: list[str] | None = None) -> None:
    """Write one page and its pictures for each phenomenon and, after all of them, a table of verdicts."""
    steady_output()
    parser = argparse.ArgumentParser(prog="python -m gaplab.phenomena", description=__doc__)
    parser.add_argument(
        "names", nargs="*", type=PhenomenonName, metavar="NAME", help=", ".join(PhenomenonName)
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--first-seed", type=int, default=0, help="they are counted from here")
    parser.add_argument("--table", type=Path, help="write every expectation to this page, and no other page")
    parser.add_argument("--quick", action="store_true", help="small versions whose verdicts mean little")
    parser.add_argument("--output", type=Path, default=Path("docs/phenomena"), help="folder of the pages")
    options = parser.parse_args(arguments)
    with readable_exits(), stop_signals_obeyed():
        test(options)


def test(options: argparse.Namespace) -> None:
    """Test what was asked for."""
    torch.set_num_threads(1)  # more threads only slow networks of this size down
    verdicts = {}
    for name in options.names or list(PhenomenonName):
        start = time.perf_counter()
        phenomenon = load_phenomenon(name)
        verdict = phenomenon.run(seeds_from(options.first_seed, options.seeds), options.quick)
        command = f"python train.py experiment=phenomena/{name}"
        if options.table is None:
            options.output.mkdir(parents=True, exist_ok=True)
            page = options.output / f"{name}.md"
            write_page(phenomenon, verdict, page, prefix=f"{name}_", command=command)
        print_verdict(phenomenon, verdict)
        print(f"{name}: {time.perf_counter() - start:.0f} s")
        verdicts[name] = (phenomenon, verdict)
    if options.table is not None:
        words = [*options.names, f"--seeds {options.seeds} --first-seed {options.first_seed}"]
        command = f"python -m gaplab.phenomena {' '.join(words)} --table {options.table}"
        write_checks(verdicts, options.table, command=command)
    elif not options.names:
        write_index(verdicts, options.output / "README.md", num_seeds=options.seeds)


if __name__ == "__main__":
    main()
