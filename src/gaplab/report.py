"""A page to send to a colleague: ``python -m gaplab.report RUN_OR_SWEEP`` writes report.html and report.md.

Of a sweep it also writes the ledger, the figures and the TensorBoard run ``summary`` anew.
"""

import argparse
from collections.abc import Collection
from pathlib import Path

from gaplab.config.extensions import load_given
from gaplab.errors import ConfigError
from gaplab.process.exits import readable_exits

FORMATS = ("pdf", "svg", "tex")


def main(arguments: list[str] | None = None) -> None:
    """Write the report of a run or a sweep and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.report", description=__doc__)
    parser.add_argument("path", type=Path, metavar="RUN_OR_SWEEP", help="the directory of a run or a sweep")
    parser.add_argument(
        "extensions", nargs="*", help="extensions=[mine.py], for a run that was made with choices of a file"
    )
    parser.add_argument("--format", default="", help="of a run, for a paper: some of pdf,svg,tex")
    options = parser.parse_intermixed_args(arguments)
    with readable_exits():
        for word in options.extensions:
            if not word.startswith("extensions="):
                raise ConfigError(f"{word}: expected nothing but extensions=[FILE.py] beside the directory.")
        load_given(options.extensions)
        try:
            write_report(options.path, formats_of(options.format))
        except OSError as error:
            place, reason = error.filename2 or error.filename, error.strerror or error
            raise ConfigError(f"{place}: cannot write the report: {reason}.") from error


def formats_of(text: str) -> list[str]:
    """Return what ``--format`` asks for.

    Raises:
        ConfigError: If something else than pdf, svg or tex is asked for.
    """
    formats = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := sorted(set(formats) - set(FORMATS)):
        raise ConfigError(f"--format: expected some of {','.join(FORMATS)}, but got {', '.join(unknown)}.")
    return formats


def write_report(path: Path, formats: Collection[str] = ()) -> None:
    """Write the report of what a folder holds, and show where it is.

    Raises:
        ConfigError: If it is neither a run nor a folder of runs, or a file in it is damaged.
    """
    if (path / "config.yaml").is_file():
        from gaplab.reports.run_report import report_run

        print(report_run(path, formats))
    elif any(path.glob("*/run.json")):
        if formats:
            raise ConfigError(
                f"--format: expected the directory of one run beside it, but {path} holds several."
            )
        from gaplab.reports.sweep_report import report_sweep

        report_sweep(path)
    else:
        raise ConfigError(
            f"{path}: expected a run directory, which has a config.yaml, or the folder of a sweep, which "
            "holds run directories, but it is neither."
        )


if __name__ == "__main__":
    main()
