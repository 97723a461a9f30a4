"""What settings change against an untouched twin: ``python -m gaplab.reports.interventions STUDY``.

STUDY is the folder of a sweep with an empty entry among ``hydra.sweeper.settings``, or a compact ledger (``.csv.gz``),
which ``--ledger FILE`` writes. Tables and the figure go beside the ledger, or to ``--out FOLDER``.
"""

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from gaplab.errors import ConfigError
from gaplab.reports.intervention_runs import (
    QUANTITIES,
    PairedRuns,
    Setting,
    by_key,
    compare,
    naming,
    read_paired_runs,
    write_compact,
)
from gaplab.reports.ledger import short_keys
from gaplab.reports.numbers import signed
from gaplab.reports.paired_differences import Difference
from gaplab.reports.render import markdown_table
from gaplab.reports.study_command import study_command
from gaplab.storage.atomic import replacing, write_text

MARGIN = 0.01
"""A test error whose difference certainly lies within ± this is left alone."""
ERROR, GAP = QUANTITIES[:2]
OUTCOMES = {
    "lowers the test error": lambda d: d[ERROR].differs and d[ERROR].mean < 0,
    "narrows the gap, test error alone": lambda d: _moves(d[GAP], -1) and d[ERROR].is_within(MARGIN),
    "widens the gap, test error alone": lambda d: _moves(d[GAP], 1) and d[ERROR].is_within(MARGIN),
    "raises the test error": lambda d: d[ERROR].differs and d[ERROR].mean > 0,
}
Found = dict[tuple[str, Setting], dict[str, Difference]]
"""Differences of every quantity by level and setting."""


def report_interventions(source: Path, out: Path, console: Console | None = None) -> Found:
    """Compare all settings with their twins; write ``interventions.csv``, ``interventions.md`` and the figure.

    Raises:
        ConfigError: If there is no ledger, no twin, or nothing to compare.
    """
    from gaplab.figures.interventions import draw_interventions
    from gaplab.figures.rendering import save_figure

    console = console or Console()
    runs = read_paired_runs(source)
    found = differences_of(runs)
    if not found:
        raise ConfigError(
            f"{source}: expected three finished pairs of a setting and its twin, but there are fewer."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_differences(found, out / "interventions.csv")
    write_text(out / "interventions.md", to_markdown(runs, found))
    names = {setting: name_of(setting, runs) for setting in runs.settings}
    shown = {(level, names[setting]): d for (level, setting), d in found.items() if len(naming(setting)) == 1}
    figure = draw_interventions(shown, runs.levels, runs.level_key, (ERROR, GAP))
    save_figure(figure, out / "interventions.png", dpi=110)
    for line in (describe(runs), *outcome_lines(runs, found)):
        console.print(line, highlight=False, soft_wrap=True)
    for name in ("interventions.csv", "interventions.md", "interventions.png"):
        console.print(f"Written: {out / name}", highlight=False, soft_wrap=True)
    return found


def differences_of(runs: PairedRuns) -> Found:
    """Return the paired differences of all settings at all levels, with intervals for all of them at once."""
    places = [(level, setting) for setting in runs.settings for level in runs.levels]
    found = {(level, one): compare(runs.differences(level, one), len(places)) for level, one in places}
    return {place: differences for place, differences in found.items() if differences}


def name_of(setting: Setting, runs: PairedRuns) -> str:
    """Return the shortest name of a setting.

    ``sharpness_radius=0.05`` stands for ``optimizer.sharpness_radius=0.05 trainer.max_steps=480``.
    """
    short = short_keys(sorted({key for one in runs.settings for key, _ in one}))
    return ", ".join(f"{short[key]}={value}" for key, value in naming(setting))


def describe(runs: PairedRuns) -> str:
    """Say how many runs count, and how the twins did."""
    lost = ", ".join(f"{number} {status}" for status, number in runs.lost.items())
    parts = []
    for level in runs.levels:
        twins = list(runs.values[level].get((), {}).values())
        error, gap, *_ = (sum(column) / len(twins) for column in zip(*twins, strict=True))
        place = f"{runs.level_key} {level}: " if level else ""
        parts.append(f"{place}test error {error:.4f}, gap {gap:.4f} ({len(twins)} draws)")
    left_out = f" (left out: {lost})" if lost else ""
    return f"{len(runs.rows)} runs{left_out}, {len(runs.settings)} settings. Twins: {'; '.join(parts)}."


def write_differences(found: Found, file: Path) -> None:
    """Write every difference with both intervals as CSV."""
    parts = ("mean", "half", "wide")
    with replacing(file) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        heads = [f"{name}, {part}" for name in QUANTITIES for part in ("mean", "± 95 %", "± simultaneous")]
        writer.writerow(["level", "setting", *heads])
        for (level, setting), differences in found.items():
            words = " ".join(f"{key}={value}" for key, value in setting)
            numbers = [getattr(differences[name], part) for name in QUANTITIES for part in parts]
            writer.writerow([level, words, *(f"{number:.5g}" for number in numbers)])


def to_markdown(runs: PairedRuns, found: Found) -> str:
    """Return the outcomes, all differences, and the interactions of pairs as Markdown tables."""
    lines = [
        "# Paired differences, setting − untouched twin",
        "",
        describe(runs),
        "",
        *outcome_table(runs, found),
    ]
    lines += [
        "",
        "## Every setting",
        "",
        "Mean ± 95 %. Bold: the simultaneous interval is on one side of 0.",
        "",
    ]
    heads = ["setting", *(f"{name} {level}".strip() for level in runs.levels for name in (ERROR, GAP))]
    rows = [
        [name_of(setting, runs), *_cells(found, runs, setting)]
        for setting in runs.settings
        if len(naming(setting)) == 1
    ]
    lines += markdown_table(heads, rows, numbers=True)
    pairs = [setting for setting in runs.settings if len(naming(setting)) == 2]
    if pairs:
        lines += [
            "",
            "## Pairs",
            "",
            "The pair against the twin, as above, and beyond the sum of both alone.",
            "",
        ]
        heads = ["pair", *heads[1:], *(f"{ERROR} beyond the sum {level}".strip() for level in runs.levels)]
        lines += markdown_table(
            heads, [_pair_row(runs, found, pair, len(pairs)) for pair in pairs], numbers=True
        )
    return "\n".join([*lines, ""])


def outcome_table(runs: PairedRuns, found: Found) -> list[str]:
    """Return a Markdown table: which values of a key had which outcome, at which levels."""
    rows = [
        [key, *(_values_with(runs, found, key, outcome) for outcome in OUTCOMES)]
        for key in by_key(runs.settings)
    ]
    return markdown_table(["key", *OUTCOMES], rows)


def outcome_lines(runs: PairedRuns, found: Found) -> list[str]:
    """Return the same as sentences, without keys that had no such outcome."""
    lines = []
    for outcome in OUTCOMES:
        texts = [
            f"{key.split('.')[-1]} {text}"
            for key in by_key(runs.settings)
            if (text := _values_with(runs, found, key, outcome))
        ]
        lines.append(f"{outcome}: {'; '.join(texts) or 'none'}")
    return lines


def _values_with(runs: PairedRuns, found: Found, key: str, outcome: str) -> str:
    parts = []
    for level in runs.levels:
        values = [
            naming(setting)[0][1]
            for setting in by_key(runs.settings)[key]
            if (level, setting) in found and OUTCOMES[outcome](found[level, setting])
        ]
        if values:
            parts.append(", ".join(values) + (f" (at {level})" if level else ""))
    return "; ".join(parts)


def _moves(difference: Difference, sign: int) -> bool:
    return difference.differs and sign * difference.mean > 0


def _cells(found: Found, runs: PairedRuns, setting: Setting) -> list[str]:
    return [_text(found.get((level, setting), {}), name) for level in runs.levels for name in (ERROR, GAP)]


def _pair_row(runs: PairedRuns, found: Found, pair: Setting, num_pairs: int) -> list[str]:
    beyond = [
        _text(compare(runs.interactions(level, pair), num_pairs * len(runs.levels)), ERROR)
        for level in runs.levels
    ]
    return [name_of(pair, runs), *_cells(found, runs, pair), *beyond]


def _text(differences: Mapping[str, Difference], name: str) -> str:
    if name not in differences:
        return "-"
    one = differences[name]
    text = f"{signed(f'{one.mean:.4f}')} ± {one.half:.4f}"
    return f"**{text}**" if one.differs else text


def main(arguments: list[str]) -> None:
    """Report the study that the command line names."""
    study_command(
        arguments,
        "interventions",
        __doc__,
        report_interventions,
        lambda study, file: write_compact(read_paired_runs(study), file),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
