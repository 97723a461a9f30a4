"""What other training sets leave of a ranking of capacity measures: ``python -m gaplab.reports.draws STUDY``.

STUDY is the folder of a sweep over ``data_seed`` with ``measures=capacity``, or a compact ledger of one (``.csv.gz``).
Tables and the figure go beside the ledger, or to ``--out FOLDER``.
"""

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from gaplab.errors import ConfigError
from gaplab.metrics.rankings import granulated_tau, kendall_tau, one_factor_pairs
from gaplab.metrics.study_scores import jackknife_error, share_between_settings
from gaplab.reports.ledger import t_quantile
from gaplab.reports.paired_differences import Difference
from gaplab.reports.ranking_table import DRAW, GAP, SEED, StudyLedger, read_study, write_compact
from gaplab.reports.render import markdown_table
from gaplab.reports.study_command import study_command
from gaplab.storage.atomic import replacing, write_text

FEWEST_DRAWS = 5
PSI, TAU = "psi_mean", "tau_b"
EQUAL = "/equal_size"
ByDraw = dict[str, NDArray[np.float64]]
"""Values [D] over the draws, by the name of the score."""


@dataclass(slots=True)
class DrawnScores:
    """Scores of every measure, each draw of the training points by itself."""

    ledger: StudyLedger
    of: dict[str, ByDraw]
    among: dict[str, tuple[float, float]]
    """Kendall's tau of the draws' mean measure and mean gap, with half the width of its 95 % interval (jackknife)."""

    @property
    def ranked_by(self) -> str:
        """The score that orders the measures: of equally many points where their number varies."""
        return PSI + EQUAL if self.ledger.size_axis else PSI

    @property
    def ranked(self) -> list[str]:
        """The measures, the one with the largest mean score first."""
        return sorted(self.of, key=lambda name: -float(np.mean(self.of[name][self.ranked_by])))

    def agreement(self, known: Mapping[str, float] | None = None) -> list[float]:
        """Return Kendall's tau of each draw's order of the measures and the known one, or that of the other draws."""
        names = [name for name in self.of if known is None or name in known]
        drawn = np.array([self.of[name][self.ranked_by] for name in names])
        found = []
        for draw in range(drawn.shape[1]):
            others = np.delete(drawn, draw, axis=1).mean(axis=1)
            reference = others if known is None else np.array([known[name] for name in names])
            found.append(kendall_tau(drawn[:, draw], reference))
        return found


def score_draws(ledger: StudyLedger) -> DrawnScores:
    """Score every measure by the runs of each draw alone, and by the means of the draws.

    Raises:
        ConfigError: If there are too few draws for an interval.
    """
    draws = np.unique(ledger.table[DRAW])
    if len(draws) < FEWEST_DRAWS:
        raise ConfigError(
            f"Expected runs of at least {FEWEST_DRAWS} draws of the points, but there are {len(draws)}. Sweep over "
            "data_seed."
        )
    parts = [
        {name: column[ledger.table[DRAW] == draw] for name, column in ledger.table.items()} for draw in draws
    ]
    by_draw = [_scores(ledger, part) for part in parts]
    of: dict[str, ByDraw] = {}
    among = {}
    gaps = np.array([part[GAP].mean() for part in parts])
    for name in ledger.measures:
        of[name] = {score: np.array([found[name][score] for found in by_draw]) for score in by_draw[0][name]}
        means = np.array([part[name].mean() for part in parts])
        left_out = [kendall_tau(np.delete(means, k), np.delete(gaps, k)) for k in range(len(draws))]
        half = t_quantile(len(draws) - 1) * jackknife_error(left_out)
        among[name] = kendall_tau(means, gaps), half
    return DrawnScores(ledger, of, among)


def _scores(ledger: StudyLedger, part: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Scores of every measure in one draw; 0 where a measure is the same in all runs, for it orders none."""
    pairs = {axis: one_factor_pairs(part, ledger.axes, axis) for axis in ledger.axes}
    size = ledger.size_axis
    result = {}
    for name in ledger.measures:
        psi = {a: granulated_tau(part, ledger.axes, a, name, GAP, pairs=pairs[a]) for a in ledger.axes}
        scores = {TAU: kendall_tau(part[name], part[GAP]), PSI: float(np.mean(list(psi.values())))}
        if size is not None:
            scores[TAU + EQUAL] = kendall_tau(part[name], part[GAP], within=part[size])
            scores[PSI + EQUAL] = float(np.mean([value for axis, value in psi.items() if axis != size]))
        result[name] = {score: float(np.nan_to_num(value)) for score, value in scores.items()}
    return result


def describe(scores: DrawnScores, known: Mapping[str, float] | None) -> list[str]:
    """Say what the runs are, what moves the gap, and how far the orders of the measures agree."""
    ledger, table = scores.ledger, scores.ledger.table
    draws = len(np.unique(table[DRAW]))
    lost = [f"{n} {reason}" for reason, n in ledger.counts.items() if reason not in ("runs", "usable")]
    lines = [
        f"{ledger.counts['usable']} of {ledger.counts['runs']} runs"
        + (f" (left out: {', '.join(lost)})" if lost else "")
        + f", {draws} draws, axes {', '.join(ledger.axes)}. Of the gap's variance draws explain "
        f"{share_between_settings(table, [DRAW], GAP):.0%} and settings "
        f"{share_between_settings(table, ledger.axes, GAP):.0%}."
    ]
    psi = "Ψ at equal m" if ledger.size_axis else "Ψ"
    agreement = f"Kendall's τ of two orders of the measures by {psi}: one draw and the mean of the others "
    agreement += _mean(scores.agreement())
    if known:
        names = [name for name in scores.of if name in known]
        mean = kendall_tau(
            np.array([scores.of[name][scores.ranked_by].mean() for name in names]),
            np.array([known[name] for name in names]),
        )
        agreement += f"; one draw and the study of one training set {_mean(scores.agreement(known))}"
        agreement += f"; the mean of all draws and that study {mean:.2f}"
    return [*lines, agreement + "."]


def draws_table(scores: DrawnScores, known: Mapping[str, float] | None) -> list[str]:
    """Return a Markdown table of the means over draws with 95 %; bold: other than 0 for all measures at once."""
    suffixes = ["", EQUAL] if scores.ledger.size_axis else [""]
    heads = ["measure"] + (["one training set"] if known else [])
    for suffix in suffixes:
        label = ", equal m" if suffix else ""
        heads += [f"Ψ{label}", f"τ-b{label}"]
    rows = []
    for name in scores.ranked:
        cells = ([f"{known[name]:.3f}" if name in known else ""]) if known else []
        for suffix in suffixes:
            cells += [_cell(scores.of[name][score + suffix], len(scores.of)) for score in (PSI, TAU)]
        positive = int((scores.of[name][scores.ranked_by] > 0).sum())
        rows.append([name, *cells, str(positive), _plus_minus(*scores.among[name], 2)])
    return markdown_table([*heads, "draws with Ψ > 0", "τ among draws"], rows, numbers=True)


def _cell(values: NDArray[np.float64], comparisons: int) -> str:
    found = Difference.of(values.tolist(), comparisons)
    text = _plus_minus(found.mean, found.half, 3)
    return f"**{text}**" if found.differs else text


def _mean(values: list[float]) -> str:
    found = Difference.of(values)
    return _plus_minus(found.mean, found.half, 2)


def _plus_minus(mean: float, half: float, digits: int) -> str:
    return "-" if math.isnan(mean) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def to_markdown(scores: DrawnScores, known: Mapping[str, float] | None) -> str:
    """Return sentences and table as a page."""
    return "\n\n".join([*describe(scores, known), "\n".join(draws_table(scores, known))]) + "\n"


def score_one_set(file: Path, scores: DrawnScores, only: Sequence[str] = ()) -> dict[str, float]:
    """Score the same settings of a study with one training set: by measure, the mean of its seeds.

    Args:
        file: Its ledger.
        scores: Those of many draws, which say what values the hyperparameters have.
        only: What else its runs must have, as ``depth=2``: hyperparameters that do not vary over the draws.

    Raises:
        ConfigError: If it has no such runs.
    """
    ledger, axes = read_study(file), scores.ledger.axes
    words = dict(word.partition("=")[::2] for word in only)
    for name in (*axes, *words):
        if name not in ledger.axes:
            raise ConfigError(
                f"{file}: expected runs that vary {name}, but they vary {', '.join(ledger.axes)}."
            )
    kept = np.ones(len(ledger.table[GAP]), dtype=bool)
    for axis in axes:
        kept &= np.isin(ledger.table[axis], scores.ledger.table[axis])
    for name, text in words.items():
        column = ledger.table[name]
        kept &= column == (text if column.dtype.kind == "U" else float(text))
    if not kept.any():
        raise ConfigError(
            f"{file}: expected runs with the values of the draws and {words}, but there are none."
        )
    shared = replace(scores.ledger, measures=[name for name in ledger.measures if name in scores.of])
    parts = [
        {name: column[kept & (ledger.table[SEED] == seed)] for name, column in ledger.table.items()}
        for seed in np.unique(ledger.table[SEED][kept])
    ]
    found = [_scores(shared, part) for part in parts]
    return {name: float(np.mean([one[name][scores.ranked_by] for one in found])) for name in shared.measures}


def write_draws(scores: DrawnScores, file: Path) -> None:
    """Write every score of every measure in every draw."""
    with replacing(file) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([DRAW, "measure", *next(iter(scores.of.values()))])
        for place, draw in enumerate(np.unique(scores.ledger.table[DRAW])):
            for name, by_draw in scores.of.items():
                writer.writerow([f"{draw:g}", name, *(f"{values[place]:.4g}" for values in by_draw.values())])


def report_draws(
    source: Path, out: Path, against: Path | None = None, only: Sequence[str] = ()
) -> DrawnScores:
    """Write ``draws.csv``, ``draws.md`` and ``draws.png`` of a study over draws, and say what they show.

    Args:
        source: The folder of a sweep over ``data_seed``, or a compact ledger.
        out: The folder for tables and figure.
        against: Ledger of a study with one training set, of the same settings.
        only: See ``score_one_set``.

    Raises:
        ConfigError: If there are too few draws, or no such settings in the other study.
    """
    scores = score_draws(read_study(source))
    known = score_one_set(against, scores, only) if against else None
    from gaplab.figures.rankings import draw_over_draws
    from gaplab.figures.rendering import save_figure

    out.mkdir(parents=True, exist_ok=True)
    write_draws(scores, out / "draws.csv")
    write_text(out / "draws.md", to_markdown(scores, known))
    shown = {name: scores.of[name][scores.ranked_by] for name in scores.ranked}
    means = {name: Difference.of(values.tolist()) for name, values in shown.items()}
    label = "Ψ at equal m" if scores.ledger.size_axis else "Ψ"
    figure = draw_over_draws(shown, {n: (m.mean, m.half) for n, m in means.items()}, known or {}, label)
    save_figure(figure, out / "draws.png", dpi=110)
    console = Console()
    for line in describe(scores, known):
        console.print(line, highlight=False, soft_wrap=True)
    for name in ("draws.csv", "draws.md", "draws.png"):
        console.print(f"Written: {out / name}", highlight=False, soft_wrap=True)
    return scores


def main(arguments: list[str]) -> None:
    """Write tables and figure of the study that the command line names."""
    study_command(
        arguments,
        "draws",
        __doc__,
        report_draws,
        lambda study, file: write_compact(read_study(study), file),
        {
            "against": {
                "type": Path,
                "metavar": "LEDGER",
                "help": "ledger of a study with one training set",
            },
            "only": {
                "nargs": "+",
                "default": [],
                "metavar": "NAME=VALUE",
                "help": "which of its runs, as in depth=2",
            },
        },
    )


if __name__ == "__main__":
    main(sys.argv[1:])
