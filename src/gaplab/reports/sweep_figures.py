"""The figures of a sweep: gaps and scores against every setting that it varies."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from gaplab.figures.rendering import save_as_each
from gaplab.figures.sweeps import Against, Line, Point, draw_against
from gaplab.reports.intervals import FEWEST_FOR_INTERVAL, span
from gaplab.reports.ledger import Row, final_tags, short_keys, summarize, varied_keys
from gaplab.storage.atomic import write_bytes
from gaplab.storage.reading import read_regular
from gaplab.tensorboard.tags import split_quantities

DRAWN = (
    ("gap/loss", "gap in loss, test − train"),
    ("gap/accuracy", "gap in accuracy, train − test"),
    ("distance/c_t", "C_T, far below 0: copied"),
    ("loss/test", "loss on test"),
    ("gap/distance_sliced_w2", "gap in sliced W2, test − train"),
    ("distance/sliced_w2_test", "sliced W2 to test points"),
    ("modes/high_quality", "share of good samples"),
)
SCALE = "scale/sqrt_params_over_points"
MOST_PANELS, MOST_LINES, MOST_SAMPLES = 4, 8, 11


def draw_sweep(sweep: Path, rows: Sequence[Row]) -> list[str]:
    """Draw ``figures/<quantity>_against_<setting>``, PNG and SVG, for every varied setting; return their names.

    Runs that agree in all other settings make a line; where that were more than eight lines, all make one. A sweep
    of seeds alone has one point.
    """
    names = []
    keys = varied_keys(rows)
    for key in keys or [""]:
        parts, drawn = _parts(rows, key), 0
        for quantity, label in _drawn(rows):
            lines = [] if drawn == MOST_PANELS else _lines(parts, quantity)
            if max((len(line.points) for line in lines), default=0) >= (2 if keys else 1):
                drawn += 1
                scale = _scale(rows, key) if keys and quantity.startswith("gap/") and len(lines) == 1 else []
                name = f"{quantity}_against_{key or 'seeds'}".replace("/", "_")
                figure = draw_against(key, Against(label, lines, scale, span(quantity)))
                save_as_each(figure, sweep / "figures" / name, ("png", "svg"))
                names.append(name)
    return names


def draw_samples_of_runs(sweep: Path, rows: Sequence[Row]) -> list[str]:
    """Draw ``figures/samples_by_run.png`` where runs have drawn samples; return its name."""
    from gaplab.figures.canvas import encode_png
    from gaplab.figures.samples import HEIGHT, WIDTH, draw_sample_grid

    found = {row.name: read_regular(sweep / row.name / "figures" / "samples.png") for row in rows}
    pictures = {
        name: png for name, png in found.items() if png is not None and size_of(png) == (WIDTH, HEIGHT)
    }
    shown = dict(list(pictures.items())[:MOST_SAMPLES])
    if not shown:
        return []
    png = encode_png(draw_sample_grid(shown))
    write_bytes(sweep / "figures" / "samples_by_run.png", png, durable=False)
    return ["samples_by_run"]


def size_of(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG, as its header says."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    return width, height


def _drawn(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return tags and labels of the panels: those known by name, and the gaps of a task's own quantities."""
    names = split_quantities(final_tags(rows))
    gaps = [(f"gap/{name.replace('/', '_')}", f"gap in {name}, positive is worse on test") for name in names]
    return [*DRAWN, *(gap for gap in gaps if gap[0] not in dict(DRAWN))]


def lines_against(rows: Sequence[Row], key: str, quantity: str) -> list[Line]:
    """Return means and intervals of a quantity over seeds at every value of a setting."""
    return _lines(_parts(rows, key), quantity)


Parts = dict[str, Mapping[float | str, list[Row]]]
"""The runs of each line, by the value of the setting on the axis."""


def _parts(rows: Sequence[Row], key: str) -> Parts:
    others = [other for other in varied_keys(rows) if other != key]
    names = short_keys(others)
    lines: dict[str, list[Row]] = {}
    for row in rows:
        text = ", ".join(f"{names[k]}={row.settings[k]}" for k in others if k in row.settings)
        lines.setdefault(text, []).append(row)
    if len(lines) > MOST_LINES:
        lines = {"all runs": list(rows)}
    return {label: by_value(members, key) for label, members in lines.items()}


def _lines(parts: Parts, quantity: str) -> list[Line]:
    found = [Line(label, _points(values, quantity)) for label, values in parts.items()]
    return [line for line in found if line.points]


def _points(values: Mapping[float | str, list[Row]], quantity: str) -> list[Point]:
    points = []
    for x, members in values.items():
        summary = summarize(members, quantity)
        if summary is not None and math.isfinite(summary.mean):
            few = len(summary.values) < FEWEST_FOR_INTERVAL  # the runs themselves say more
            width = math.nan if few else summary.half_width
            points.append(Point(x, summary.mean, width, summary.values))
    return points


def by_value(rows: Sequence[Row], key: str) -> Mapping[float | str, list[Row]]:
    """Return the runs by their value of a setting; numbers if all are, ``[50]`` counts as 50."""
    texts: dict[str, list[Row]] = {}
    for row in rows:
        texts.setdefault(row.settings.get(key, "default"), []).append(row)
    try:
        numbers: dict[float | str, list[Row]] = {}
        for text, members in texts.items():
            numbers.setdefault(float(text.strip("[]")), []).extend(members)
        return dict(sorted(numbers.items()))
    except ValueError:  # words, or several widths
        return dict(texts.items())


def _scale(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    found = {x: summarize(members, SCALE) for x, members in by_value(rows, key).items()}
    return [(x, s.mean) for x, s in found.items() if s is not None and not isinstance(x, str)]
