"""The command line of what reports on a study: which study, and where its tables and figures go."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gaplab.errors import ConfigError
from gaplab.process.exits import readable_exits


def study_command(
    arguments: list[str],
    name: str,
    description: str | None,
    report: Callable[..., Any],
    write_ledger: Callable[[Path, Path], None] | None = None,
    more: Mapping[str, dict[str, Any]] = {},
) -> None:
    """Report on the study that a command line names; a mistake of the user's is a sentence and exit code 2.

    Args:
        arguments: The words of the command line.
        name: The module that is run, in ``gaplab.reports``.
        description: What ``--help`` shows.
        report: Given the study, the folder of a sweep or a compact ledger, the folder for the report, and what
            ``more`` names.
        write_ledger: Given the study and the file of ``--ledger``; None where there is no such option.
        more: Further options, as ``add_argument`` takes them, by name.
    """
    parser = argparse.ArgumentParser(prog=f"python -m gaplab.reports.{name}", description=description)
    parser.add_argument("study", type=Path, help="folder of a sweep, or a compact ledger")
    parser.add_argument("--out", type=Path, help="folder for tables and figures")
    if write_ledger is not None:
        parser.add_argument("--ledger", type=Path, help="also write the compact ledger to this .csv.gz")
    for option, settings in more.items():
        parser.add_argument(f"--{option}", **settings)
    options = parser.parse_args(arguments)
    study: Path = options.study
    with readable_exits():
        further = {option: getattr(options, option) for option in more}
        try:
            report(study, options.out or (study if study.is_dir() else study.parent), **further)
            if write_ledger is not None and options.ledger:
                write_ledger(study, options.ledger)
        except OSError as error:
            raise ConfigError(
                f"{error.filename or study}: cannot be written: {error.strerror}. Choose another place with --out or "
                "--ledger."
            ) from error
