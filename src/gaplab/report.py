"""A page to send to a colleague: ``python -m gaplab.report RUN_OR_SWEEP`` writes report.html and report.md.

Of a sweep it also writes the ledger, the figures and the TensorBoard run ``summary`` anew.
"""

import argparse
import sys
from pathlib import Path

from gaplab.config.extensions import load_given
from gaplab.errors import ConfigError


def main(arguments: list[str] | None = None) -> None:
    """Write the report of a run or a sweep and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.report", description=__doc__)
    parser.add_argument("path", type=Path, metavar="RUN_OR_SWEEP", help="the directory of a run or a sweep")
    parser.add_argument(
        "extensions", nargs="*", help="extensions=[mine.py], for a run that was made with choices of a file"
    )
    options = parser.parse_intermixed_args(arguments)
    try:
        for word in options.extensions:
            if not word.startswith("extensions="):
                raise ConfigError(f"{word}: expected nothing but extensions=[FILE.py] beside the directory.")
        load_given(options.extensions)
        write_report(options.path)
    except OSError as error:
        reason = error.strerror or error
        print(
            f"error: {error.filename2 or error.filename}: cannot write the report: {reason}.", file=sys.stderr
        )
        sys.exit(2)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def write_report(path: Path) -> None:
    """Write the report of what a folder holds, and show where it is.

    Raises:
        ConfigError: If it is neither a run nor a folder of runs, or a file in it is damaged.
    """
    if (path / "config.yaml").is_file():
        from gaplab.reports.run_report import report_run

        print(report_run(path))
    elif any(path.glob("*/run.json")):
        from gaplab.reports.sweep_report import report_sweep

        report_sweep(path)
    else:
        raise ConfigError(
            f"{path}: expected a run directory, which has a config.yaml, or the folder of a sweep, which "
            "holds run directories, but it is neither."
        )


if __name__ == "__main__":
    main()
