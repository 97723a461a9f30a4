"""The page of one run: a verdict, its curves, its card and its pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaplab.errors import ConfigError
from gaplab.reports.gap_curves import gap_curves
from gaplab.reports.render import to_html, to_markdown
from gaplab.reports.run_card import run_card
from gaplab.reports.run_verdict import verdict_of_run
from gaplab.runs.directory import read_json
from gaplab.storage.atomic import write_text
from gaplab.storage.reading import read_regular
from gaplab.tensorboard.read_curves import History, read_history

FIRST = ("curves", "gap_and_bounds")
"""The pictures above the tables."""
MAIN = ("loss", "distance/sliced_w2")
"""What ``curves.png`` shows of classifiers and of GANs."""


def report_run(path: Path) -> Path:
    """Write ``report.html`` (one file, pictures inside) and ``report.md`` (pictures linked) into a run.

    Pictures that are links or pipes are left out: they could lead anywhere.

    Raises:
        ConfigError: If ``path`` is not a run directory, or a file in it is damaged.
    """
    report = run_card(path)
    if (path / "figures").is_symlink():
        raise ConfigError(f"{path / 'figures'}: expected the folder of the run's pictures, but it is a link.")
    try:
        history = read_history(path)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{path / 'metrics.csv'}: expected a table of numbers, but: {error}.") from error
    draw_curves(path, history)
    if (path / "result.json").is_file():
        result = read_json(path / "result.json")
        draw_bounds(path, result)
        report.verdict = verdict_of_run(result, history)
    files = sorted((path / "figures").glob("*.png"), key=_place)
    pictures = {file.stem: read_regular(file) for file in files}
    report.pictures = {name: png for name, png in pictures.items() if png is not None}
    report.num_leading = sum(name in report.pictures for name in FIRST)
    page = path / "report.html"
    write_text(page, to_html(report))
    write_text(path / "report.md", to_markdown(report, path / "figures"))
    return page


def _place(file: Path) -> tuple[int, str]:
    return (FIRST.index(file.stem) if file.stem in FIRST else len(FIRST)), file.stem


def draw_curves(path: Path, history: History) -> None:
    """Draw ``figures/curves.png``: the first quantity whose gap the run measured."""
    curves = gap_curves(history)
    if not curves:
        return
    from gaplab.figures.curves import draw_gap_curves
    from gaplab.figures.rendering import save_png

    curve = next((curve for curve in curves if curve.quantity in MAIN), curves[0])
    figure = draw_gap_curves(
        curve.steps,
        curve.splits,
        curve.gap,
        curve.half_widths,
        history[curve.steps[-1]].get("scale/sqrt_params_over_points"),
        quantity=curve.quantity.replace("/", " "),
    )
    save_png(figure, path / "figures" / "curves.png")


def draw_bounds(path: Path, result: Mapping[str, Any]) -> None:
    """Draw ``figures/gap_and_bounds.png`` of a classifier: errors, gap and bounds of the last weights."""
    from gaplab.figures.gap_and_bounds import draw_gap_and_bounds
    from gaplab.figures.rendering import save_png
    from gaplab.reports.bound_marks import bound_marks, guessing_error

    marks = bound_marks(result)
    if marks:
        figure = draw_gap_and_bounds(marks, guessing_error(result))
        save_png(figure, path / "figures" / "gap_and_bounds.png")
