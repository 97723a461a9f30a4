"""The TensorBoard run ``summary`` of a sweep: means over seeds with bands, the table and the figures."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as EventSummary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch.utils.tensorboard.summary import text

from gaplab.reports.ledger import Row, bands, final_tags, short_keys, summarize, varied_keys
from gaplab.reports.sweep_figures import by_value, size_of
from gaplab.tensorboard.custom_scalars import Layout, band
from gaplab.tensorboard.event_files import write_events
from gaplab.tensorboard.links import headline
from gaplab.tensorboard.read_curves import History, read_history
from gaplab.tensorboard.tags import split_quantities

BANDS = {
    "Generalization gap": "gap/loss",
    "Gap in accuracy": "gap/accuracy",
    "Loss on test": "loss/test",
    "Loss on train": "loss/train",
    "Accuracy on test": "accuracy/test",
    "Sliced W2 to test points": "distance/sliced_w2_test",
    "Gap in sliced W2": "gap/distance_sliced_w2",
    "Share of good samples": "modes/high_quality",
}
"""Charts of means over seeds with their 95 % interval, by title."""
AGAINST = ("gap/loss", "gap/accuracy", "gap/distance_sliced_w2")
MOST_SETTINGS = 50


def write_summary(
    sweep: Path,
    rows: Sequence[Row],
    groups: Mapping[str, Sequence[Row]],
    table: str,
    pictures: Mapping[str, bytes],
) -> None:
    """Write the run ``summary``, and one below it for each of several settings with two runs or more.

    Args:
        sweep: The folder of the sweep.
        rows: Its runs.
        groups: The runs by setting.
        table: Markdown for the page Text.
        pictures: Name to PNG for the page Images.
    """
    root = sweep / "summary"
    root.mkdir(exist_ok=True)
    for old in root.rglob("events.out.tfevents.*"):
        old.unlink()
    for folder in sorted(root.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    _write_page(root, table, pictures)
    _write_against(root, rows)
    with_bands = {name: [row for row in members if row.final] for name, members in groups.items()}
    with_bands = {name: members for name, members in with_bands.items() if len(members) > 1}
    for name, members in list(with_bands.items())[:MOST_SETTINGS]:
        folder = root if len(groups) == 1 else root / name.replace("/", "_")
        folder.mkdir(exist_ok=True)
        tables = bands([history for row in members if (history := _history(sweep / row.name))])
        charted = _charted(dict.fromkeys(tag for table in tables.values() for tag in table))
        tables = {
            step: _without_other_bands(means, charted) | _own_tags(means, charted)
            for step, means in tables.items()
        }
        write_events(folder, tables, _layout(tables, charted))


def _history(run: Path) -> History:
    """Return what a run measured; nothing where its table is damaged."""
    try:
        return read_history(run)
    except (OSError, ValueError, KeyError):
        return {}


def _charted(tags: Iterable[str]) -> dict[str, str]:
    """Return the charts of a sweep, title to tag: those known by name, and gap and test value of other quantities."""
    own: dict[str, str] = {}
    for name in split_quantities(tags):
        own |= {
            f"Gap in {name}": f"gap/{name.replace('/', '_')}",
            f"{name.capitalize()} on test": f"{name}/test",
        }
    return BANDS | {title: tag for title, tag in own.items() if tag not in BANDS.values()}


def _layout(tables: Mapping[int, Mapping[str, float]], charted: Mapping[str, str]) -> Layout:
    tags = {tag for table in tables.values() for tag in table}
    named = {title: own_tag(tag) for title, tag in reversed([*charted.items()])}
    charts = {title: band(tag) for title, tag in named.items() if f"{tag}_lower" in tags}
    return {"mean and 95 % interval over seeds": charts}


def own_tag(tag: str) -> str:
    """Return the tag of a mean that plain runs do not have: TensorBoard would miss their intervals.

    >>> own_tag("gap/loss")
    'seeds/gap_loss'
    """
    return f"seeds/{tag.replace('/', '_')}"


def _without_other_bands(table: Mapping[str, float], charted: Mapping[str, str]) -> dict[str, float]:
    """Keep the intervals of the charted quantities only; those of gradient norms would fill their chart."""
    ends = ("_lower", "_upper")
    kept = {tag + end for tag in charted.values() for end in ends}
    return {tag: value for tag, value in table.items() if not tag.endswith(ends) or tag in kept}


def _own_tags(table: Mapping[str, float], charted: Mapping[str, str]) -> dict[str, float]:
    ends = ("", "_lower", "_upper")
    found = {own_tag(tag) + end: table.get(tag + end) for tag in charted.values() for end in ends}
    found |= {headline(tag): table.get(tag) for tag in charted.values() if tag.startswith("gap/")}
    return {tag: value for tag, value in found.items() if value is not None}


def _write_page(folder: Path, table: str, pictures: Mapping[str, bytes]) -> None:
    writer = EventFileWriter(str(folder), filename_suffix=".page")
    summaries = [text("sweep/table", table)]
    for place, (name, png) in enumerate(pictures.items(), start=1):
        width, height = size_of(png)
        image = EventSummary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        summaries.append(
            EventSummary(value=[EventSummary.Value(tag=f"figures/{place:02}_{name}", image=image)])
        )
    for summary in summaries:
        writer.add_event(Event(wall_time=time.time(), step=0, summary=summary))
    writer.close()


def _write_against(folder: Path, rows: Sequence[Row]) -> None:
    """Write gaps with a whole number, such as the training points, as the x axis, if nothing else varies."""
    keys = varied_keys(rows)
    if len(keys) != 1:
        return
    tables: dict[int, dict[str, float]] = {}
    own = split_quantities(final_tags(rows))
    gaps = dict.fromkeys((*AGAINST, *(f"gap/{name.replace('/', '_')}" for name in own)))
    for x, members in by_value(rows, keys[0]).items():
        if isinstance(x, str) or x != int(x) or x < 0:
            return
        for tag in gaps:
            found = summarize(members, tag)
            if found is not None and len(found.values) > 1:
                name = f"against_{short_keys(keys)[keys[0]]}/{tag.replace('/', '_')}"
                row = {name: found.mean, f"{name}_lower": found.mean - found.half_width}
                tables.setdefault(int(x), {}).update(row | {f"{name}_upper": found.mean + found.half_width})
    if len(tables) < 2:
        return
    tags = [tag for tag in next(iter(tables.values())) if not tag.endswith(("_lower", "_upper"))]
    charts = {tag: band(tag) for tag in tags}
    write_events(folder, tables, {f"x axis: {keys[0]}": charts})
