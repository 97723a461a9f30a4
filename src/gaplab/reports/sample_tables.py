"""The samplers of a sweep, GANs and flows, as a table a point set: scores over seeds, published rows, the ceiling."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import rich.table
from rich.box import SIMPLE
from rich.console import Console

from gaplab.config.renamed import with_new_names
from gaplab.errors import ConfigError
from gaplab.reports.intervals import FEWEST_FOR_INTERVAL
from gaplab.reports.ledger import PRUNED, Row, Summary, varied_keys
from gaplab.reports.numbers import short
from gaplab.reports.render import Table
from gaplab.storage.reading import read_regular, read_yaml

COLUMNS = {
    "modes": "modes/captured",
    "balanced": "modes/balanced",
    "quality": "modes/high_quality",
    "reverse KL": "modes/reverse_kl",
    "std ratio": "modes/std_ratio",
    "offset": "modes/center_offset",
    "mode TV": "modes/mass_tv",
    "sliced W2": "distance/sliced_w2_test",
    "C_T": "distance/c_t",
    "judge": "judge/accuracy_test",
    "judge p >= .05": "judge/p_value_test",
    "seconds": "seconds",
}
PUBLISHED = {
    "ring": {
        "GAN (PacGAN Table 1)": ("6.3 ± 0.5", "0.982 ± 0.002", "0.45 ± 0.09"),
        "ALI (PacGAN Table 1)": ("6.6 ± 0.3", "0.976 ± 0.004", "0.36 ± 0.04"),
        "PacGAN4 (PacGAN Table 1)": ("7.8 ± 0.1", "0.959 ± 0.014", "0.07 ± 0.02"),
        "VEEGAN (VEEGAN Table 1)": ("8", "0.529", ""),
        "WGAN-GP (GDPP Table 1)": ("6.8", "0.596", ""),
    },
    "grid": {
        "GAN (PacGAN Table 1)": ("17.3 ± 0.8", "0.948 ± 0.007", "0.70 ± 0.07"),
        "ALI (PacGAN Table 1)": ("24.1 ± 0.4", "0.957 ± 0.006", "0.14 ± 0.03"),
        "PacGAN4 (PacGAN Table 1)": ("24.8 ± 0.2", "0.936 ± 0.006", "0.04 ± 0.01"),
        "VEEGAN (VEEGAN Table 1)": ("24.6", "0.40", ""),
        "WGAN-GP (GDPP Table 1)": ("24.2", "0.287", ""),
    },
}
PERFECT = "a perfect sampler"
NARROW_CELL, WIDE_CELL = 13, 20
"""Characters of a line of a cell."""
WIDE = 150
"""Characters of a line that all columns need."""
LEFT_OUT_IF_NARROW = (
    "balanced",
    "std ratio",
    "offset",
    "mode TV",
    "sliced W2",
    "C_T",
    "judge p >= .05",
    "seconds",
)
PUBLISHED_COLUMNS = ("modes", "quality", "reverse KL")
Methods = dict[str, list[dict[str, float]]]
"""Final scores of the runs of each method; empty ones for runs without a result."""


def sample_tables(sweep: Path, rows: Sequence[Row]) -> list[Table]:
    """Return a table for each point set that a sweep learns to draw; none where its runs draw no samples."""
    return [sample_table(data, methods) for data, methods in methods_by_data(sweep, rows).items()]


def print_sample_tables(tables: Sequence[Table], console: Console) -> None:
    """Print the tables, without some columns on a narrow terminal; rows that are not ours are dim."""
    for table in tables:
        kept = [
            number
            for number, name in enumerate(table.columns)
            if console.width >= WIDE or name not in LEFT_OUT_IF_NARROW
        ]
        shown = rich.table.Table(title=table.title)
        cell = WIDE_CELL if console.width >= WIDE else NARROW_CELL
        if console.width < WIDE:
            shown.box, shown.show_edge, shown.padding = SIMPLE, False, (0, 0, 0, 1)
        for number in kept:
            name = table.columns[number]
            shown.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=number > 0)
        for row in table.rows:
            cells = [fill(row[number], cell) if number else row[number] for number in kept]
            shown.add_row(*cells, style="" if row[1] else "dim")
        console.print(shown)
        if len(kept) < len(table.columns):
            console.print("The report has all columns.", highlight=False)


def methods_by_data(sweep: Path, rows: Sequence[Row]) -> dict[str, Methods]:
    """Return the final scores of the samplers of a sweep by point set and by what the sweep varies, seeds aside."""
    varied = [key for key in varied_keys(rows) if key not in ("data", "task", "task.loss")]
    found: dict[str, Methods] = defaultdict(lambda: defaultdict(list))
    for row in (row for row in rows if row.status != PRUNED):
        config = _config_of_sampler(sweep / row.name / "config.yaml")
        if config is None:
            continue
        name = config["task"].get("loss", config["choices"].get("task"))
        method = ", ".join([name, *(f"{key}={row.settings[key]}" for key in varied if key in row.settings)])
        scores = row.final | {"seconds": row.seconds or 0.0} if row.final else {}
        found[config["choices"]["data"]][method].append(scores)
    return found


def _config_of_sampler(file: Path) -> Any:
    """Return the configuration of a run that learns to draw; None for others and where it cannot be read."""
    try:
        if b"num_samples:" not in (read_regular(file) or b""):  # parsing takes a hundred times longer
            return None
        config = with_new_names(read_yaml(file))
        return config if "num_samples" in config["task"] and config["choices"]["data"] else None
    except (ConfigError, KeyError, TypeError, AttributeError):
        return None


def sample_table(data: str, methods: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    """Return the table of one point set: our methods, a perfect sampler, and published rows."""
    ended = [scores for runs in methods.values() for scores in runs if scores]
    columns = {name: tag for name, tag in COLUMNS.items() if any(tag in scores for scores in ended)}
    rows = [
        (method, f"{sum(map(bool, runs))} of {len(runs)}", *_cells(columns, runs, ""))
        for method, runs in methods.items()
    ]
    perfect = [{t: v for t, v in run.items() if "p_value" not in t} for run in ended]
    rows.append((PERFECT, "", *_cells(columns, perfect, "ceiling/")))
    for method, cells in PUBLISHED.get(data, {}).items():
        printed = dict(zip(PUBLISHED_COLUMNS, cells, strict=True))
        rows.append((method, "", *(printed.get(name, "") for name in columns)))
    return Table(
        f"{data}: mean ± 95 % over seeds, or the values of few seeds", ("method", "runs", *columns), rows
    )


def _cells(columns: Mapping[str, str], runs: Sequence[Mapping[str, Any]], prefix: str) -> list[str]:
    return [
        _cell(name, [run[prefix + tag] for run in runs if prefix + tag in run])
        for name, tag in columns.items()
    ]


def _cell(column: str, values: Sequence[float]) -> str:
    """Mean and 95 % t-interval, or few values; for the p-value, how often the judge could not reject at 5 %."""
    if not values:
        return ""
    if column.startswith("judge p"):
        return f"{sum(value >= 0.05 for value in values)} of {len(values)}"
    if len(values) < FEWEST_FOR_INTERVAL:
        return ", ".join(map(short, sorted(values)))
    return f"{short(statistics.mean(values))} ± {short(Summary(list(values)).half_width, 1)}"
