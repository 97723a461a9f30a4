"""A page to send to a colleague: ``python -m gaplab.report RUN`` writes report.html and .md into RUN."""

import argparse
import csv
import sys
from pathlib import Path

from gaplab.config.checks import ConfigError
from gaplab.runs.presentation import to_html, to_markdown


def main(arguments: list[str] | None = None) -> None:
    """Write the report of a run and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.report", description=__doc__)
    parser.add_argument("path", type=Path, metavar="RUN", help="a run directory")
    options = parser.parse_args(arguments)
    try:
        page = write_report(options.path)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(page)


def write_report(path: Path) -> Path:
    """Write ``report.html`` (one file, pictures inside) and ``report.md`` (pictures linked) into a run.

    Raises:
        ConfigError: If ``path`` is not a run directory.
    """
    from gaplab.runs.card import run_card

    report = run_card(path)
    report.pictures = _pictures(path)
    page = path / "report.html"
    page.write_text(to_html(report))
    (path / "report.md").write_text(to_markdown(report, path / "figures"))
    return page


def _pictures(path: Path) -> dict[str, bytes]:
    draw_curves(path)
    files = sorted((path / "figures").glob("*.png"), key=lambda file: (file.stem != "curves", file.stem))
    return {file.stem: file.read_bytes() for file in files}


def draw_curves(path: Path) -> None:
    """Draw ``figures/curves.png`` from ``metrics.csv``, where the run measured train and test losses."""
    table = path / "metrics.csv"
    if not table.is_file():
        return
    from gaplab.figures.curves import draw_gap_curves
    from gaplab.figures.rendering import save_png

    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("loss/train") and row.get("loss/test")]
    if not rows:
        return
    columns = {name: [float(row[name]) for row in rows] for name in ("step", "loss/train", "loss/test")}
    val = [float(row["loss/val"]) for row in rows] if rows[0].get("loss/val") else None
    figure = draw_gap_curves(
        columns["step"],
        columns["loss/train"],
        val,
        columns["loss/test"],
        float(rows[-1]["scale/sqrt_params_over_points"]),
    )
    save_png(figure, path / "figures" / "curves.png")


if __name__ == "__main__":
    main()
