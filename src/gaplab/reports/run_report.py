"""The page of one run: a verdict, its curves, its card and its pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaplab.errors import ConfigError
from gaplab.reports.render import to_html, to_markdown
from gaplab.reports.run_card import run_card
from gaplab.reports.run_verdict import verdict_of_run
from gaplab.runs.directory import read_json
from gaplab.storage.atomic import write_text
from gaplab.storage.reading import read_regular
from gaplab.tensorboard.read_curves import History, read_history

FIRST = ("curves", "gap_and_bounds")
"""The pictures above the tables."""


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
    """Draw ``figures/curves.png``, where the run measured the same quantity on train and test."""
    for quantity in ("loss/{}", "distance/sliced_w2_{}"):
        tags = [quantity.format(split) for split in ("train", "val", "test")]
        rows = {step: row for step, row in history.items() if tags[0] in row and tags[2] in row}
        if rows:
            break
    else:
        return
    from gaplab.figures.curves import draw_gap_curves
    from gaplab.figures.rendering import save_png

    train, val, test = ([row[tag] for row in rows.values() if tag in row] for tag in tags)
    figure = draw_gap_curves(
        list(rows),
        train,
        val if len(val) == len(rows) else None,
        test,
        rows[max(rows)].get("scale/sqrt_params_over_points"),
        quantity=quantity.removesuffix("/{}").removesuffix("_{}").replace("/", " "),
    )
    save_png(figure, path / "figures" / "curves.png")


def draw_bounds(path: Path, result: Mapping[str, Any]) -> None:
    """Draw ``figures/gap_and_bounds.png`` of a classifier: errors, gap and bounds of the last weights."""
    last = result["last"]
    if last.get("gap/accuracy") is None:
        return
    from gaplab.figures.gap_and_bounds import Mark, draw_gap_and_bounds
    from gaplab.figures.palette import TEST, TRAIN
    from gaplab.figures.rendering import save_png

    radius = last["gap/accuracy_error"]
    marks = [
        Mark("training error", 1 - last["accuracy/train"], TRAIN),
        Mark("test error", 1 - last["accuracy/test"], TEST, radius),
        Mark("gap", last["gap/accuracy"], "black", radius),
    ]
    bounds = [bound for bound in result.get("bounds", ()) if bound["value"] is not None]
    for bound in bounds:
        if not bound["name"].startswith("hoeffding"):  # that is the interval of the test error
            label = f"{bound['name'].replace('_', ' ')} (of the {bound['quantity']})"
            marks.append(Mark(label, bound["value"], vacuous=bound["vacuous"]))
    guessing = min((bound["trivial"] for bound in bounds if bound["trivial"] < 1), default=None)
    save_png(draw_gap_and_bounds(marks, guessing), path / "figures" / "gap_and_bounds.png")
