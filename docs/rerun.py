"""Reruns the commands of the pages and writes what they print now: ``python docs/rerun.py [--check] [PAGE ...]``.

A figure of a page stands in a block of the language ``console``: a line ``$ python ...`` and, beneath, lines that
the command prints, any choice of them in their order. With ``--check`` nothing is written and the exit status is 1
if a line is stale: not printed any more, or with numbers that are further off than other processors explain.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?<=^```console\n)\$ (?P<command>[^\n]*)\n(?P<lines>.*?)(?=^```$)", re.DOTALL | re.MULTILINE
)
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
RELATIVE, ABSOLUTE = 0.1, 0.005
"""Training is chaotic: another processor rounds differently, and after thousands of steps figures differ."""


class Line(NamedTuple):
    """A line of a page and the line that its command prints in its place now, None if there is none."""

    page: str
    printed: str | None

    @property
    def stale(self) -> bool:
        if self.printed is None:
            return True
        pairs = zip(NUMBER.findall(self.page), NUMBER.findall(self.printed), strict=True)
        return any(not close(float(a), float(b)) for a, b in pairs)


def close(a: float, b: float) -> bool:
    return abs(a - b) <= max(ABSOLUTE, RELATIVE * max(abs(a), abs(b)))


def skeleton(line: str) -> str:
    """The line without its numbers and spaces: what must be equal.

    >>> skeleton("loss  0.25 ± 1e-3")
    'loss # ± #'
    """
    return NUMBER.sub("#", " ".join(line.split()))


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of a page, and the lines beneath each."""
    for found in BLOCK.finditer(text):
        yield found["command"], found["lines"].splitlines()


def printed_now(command: str) -> list[str]:
    """Run a command of this repository with its runs in a folder that is thrown away.

    Raises:
        RuntimeError: It failed.
    """
    words = shlex.split(command)
    with tempfile.TemporaryDirectory() as folder:
        root = [f"run.root={folder}"] if words[1] == "train.py" else []
        done = subprocess.run(
            [sys.executable, *words[1:], *root],
            cwd=ROOT,
            env=os.environ | {"COLUMNS": "110"},  # lines are not broken
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(
            f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout.splitlines()


def table_start(lines: list[str], place: int) -> int | None:
    """The first row of the table (Markdown's or Rich's) in which a line stands, None outside of tables.

    >>> table_start(["text", "| a |", "| b |"], 2), table_start(["text", "| a |"], 0)
    (1, None)
    """
    start = None
    while place >= 0 and lines[place].lstrip().startswith(("|", "│")):
        start, place = place, place - 1
    return start


def compared(lines: list[str], printed: list[str]) -> list[Line]:
    """Pair each line with the next printed one that differs from it in numbers at most.

    Rows of one table may have changed places: where it is sorted by a figure, a last digit decides.
    """
    result: list[Line] = []
    start, taken = 0, set[int]()
    for line in lines:
        places = (i for i in range(start, len(printed)) if i not in taken)
        place = next((i for i in places if skeleton(printed[i]) == skeleton(line)), None)
        result.append(Line(line, None if place is None else printed[place]))
        if place is not None:
            taken.add(place)
            table = table_start(printed, place)
            start = place + 1 if table is None else table
    return result


def rewritten(text: str) -> tuple[str, list[Line]]:
    """The page with the numbers of now, and all its lines."""
    every: list[Line] = []

    def renew(found: re.Match[str]) -> str:
        lines = compared(found["lines"].splitlines(), printed_now(found["command"]))
        every.extend(lines)
        return f"$ {found['command']}\n" + "".join(f"{line.printed or line.page}\n" for line in lines)

    return BLOCK.sub(renew, text), every


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 if a line is stale"
    )
    parser.add_argument("pages", nargs="*", type=Path, help="default: README.md and docs/*.md")
    options = parser.parse_args()
    stale = 0
    for page in options.pages or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text, lines = rewritten(page.read_text())
        for line in lines:
            if line.stale:
                stale += 1
                print(f"{page}: {line.page}\n    now: {line.printed or 'no such line'}")
        if not options.check:
            page.write_text(text)
    sys.exit(options.check and stale > 0)


if __name__ == "__main__":
    main()
