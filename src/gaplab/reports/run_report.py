"""The page of one run: a verdict, its curves, its card and its pictures."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gaplab.errors import ConfigError
from gaplab.reports.captions import SEEN
from gaplab.reports.gap_curves import gap_curves
from gaplab.reports.latex import to_latex
from gaplab.reports.render import read_pictures, to_html, to_markdown
from gaplab.reports.run_card import run_card
from gaplab.reports.run_verdict import verdict_of_run
from gaplab.reports.score_tables import score_table
from gaplab.runs.directory import read_json
from gaplab.storage.atomic import write_text
from gaplab.tensorboard.read_curves import History, read_history

FIRST = ("samples", "curves", "gap_and_bounds")
"""The pictures above the tables."""
MAIN = ("loss", "distance/sliced_w2")
"""What ``curves.png`` shows of classifiers and of GANs."""


def report_run(path: Path, formats: Collection[str] = ()) -> Path:
    """Write ``report.html`` (one file, pictures inside) and ``report.md`` (pictures linked) into a run.

    Curves and bounds are vectors, ``figures/curves.svg`` beside ``curves.png``. ``formats`` asks for more: ``pdf`` of
    both, and ``tex`` for the table of results, ``result.tex``.

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
    draw_curves(path, history, formats)
    if (path / "result.json").is_file():
        result = read_json(path / "result.json")
        draw_bounds(path, result, formats)
        if "tex" in formats:
            write_text(path / "result.tex", to_latex(score_table(result)))
        report.verdict = verdict_of_run(result, history)
    names = sorted({file.stem for file in (path / "figures").glob("*.png")}, key=_place)
    report.pictures = read_pictures(path / "figures", names)
    report.num_leading = sum(name in report.pictures for name in FIRST)
    page = path / "report.html"
    write_text(page, to_html(report))
    write_text(path / "report.md", to_markdown(report, path / "figures"))
    return page


def _place(name: str) -> tuple[int, str]:
    known = (*FIRST, *(name for name in SEEN if name not in FIRST))
    return (known.index(name) if name in known else len(known)), name


def draw_curves(path: Path, history: History, formats: Collection[str] = ()) -> None:
    """Draw ``figures/curves.png``: the first quantity whose gap the run measured."""
    curves = gap_curves(history)
    if not curves:
        return
    from gaplab.figures.curves import draw_gap_curves

    curve = next((curve for curve in curves if curve.quantity in MAIN), curves[0])
    figure = draw_gap_curves(
        curve.steps,
        curve.splits,
        curve.gap,
        curve.half_widths,
        history[curve.steps[-1]].get("scale/sqrt_params_over_points"),
        quantity=curve.quantity.replace("/", " "),
    )
    _save(figure, path / "figures" / "curves.png", formats)


def draw_bounds(path: Path, result: Mapping[str, Any], formats: Collection[str] = ()) -> None:
    """Draw ``figures/gap_and_bounds.png`` of a classifier: errors, gap and bounds of the last weights."""
    from gaplab.figures.gap_and_bounds import draw_gap_and_bounds
    from gaplab.reports.bound_marks import bound_marks, guessing_error

    marks = bound_marks(result)
    if marks:
        figure = draw_gap_and_bounds(marks, guessing_error(result))
        _save(figure, path / "figures" / "gap_and_bounds.png", formats)


def _save(figure: Any, file: Path, formats: Collection[str]) -> None:
    from gaplab.figures.rendering import save_as_each

    save_as_each(figure, file.with_suffix(""), ("png", "svg", *sorted({"pdf"} & set(formats))))
