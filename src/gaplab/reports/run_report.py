"""The page of one run: its card, its curves and its pictures."""

from pathlib import Path

from gaplab.reports.render import to_html, to_markdown
from gaplab.reports.run_card import run_card
from gaplab.tensorboard.read_curves import read_history


def report_run(path: Path) -> Path:
    """Write ``report.html`` (one file, pictures inside) and ``report.md`` (pictures linked) into a run.

    Raises:
        ConfigError: If ``path`` is not a run directory.
    """
    report = run_card(path)
    draw_curves(path)
    files = sorted((path / "figures").glob("*.png"), key=lambda file: (file.stem != "curves", file.stem))
    report.pictures = {file.stem: file.read_bytes() for file in files}
    page = path / "report.html"
    page.write_text(to_html(report))
    (path / "report.md").write_text(to_markdown(report, path / "figures"))
    return page


def draw_curves(path: Path) -> None:
    """Draw ``figures/curves.png``, where the run measured the same quantity on train and test."""
    history = read_history(path)
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
