"""A project of your own: one data set, one network, one task, an experiment, a test that passes, a Makefile."""

import argparse
import sys
from pathlib import Path

from gaplab.errors import ConfigError
from gaplab.new.project import make_project


def main(arguments: list[str] | None = None) -> None:
    """Make a project and say how to start."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.new", description=__doc__)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="the project; its name becomes the module's"
    )
    folder = parser.parse_args(arguments).folder
    try:
        files = make_project(folder)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(str(folder / file) for file in files))
    print(f"Next: cd {folder} && make train")


if __name__ == "__main__":
    main()
