"""The tables of a sweep: what ran, every setting's best, mean, deviation and interval, and what was lost."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from gaplab.reports.intervals import FEWEST_FOR_INTERVAL, interval, interval_text
from gaplab.reports.ledger import PRUNED, UNREADABLE, Row, Summary, final_tags, summarize, varied_keys
from gaplab.reports.numbers import number, short
from gaplab.reports.render import Table
from gaplab.runs.directory import read_json
from gaplab.tensorboard.tags import draws_samples, split_quantities

SHOWN = (
    "loss/train",
    "loss/val",
    "loss/test",
    "accuracy/test",
    "gap/loss",
    "gap/accuracy",
    "modes/captured",
    "modes/high_quality",
    "modes/reverse_kl",
    "spiral/angle_std",
    "distance/sliced_w2_test",
    "coverage/coverage",
    "judge/accuracy_test",
    "gap/distance_sliced_w2",
)
"""The quantities of classifiers and of GANs that a sweep is judged by."""
MONITORS = ("loss/val", "distance/sliced_w2_val", "loss/test", "distance/sliced_w2_test")
"""What makes a run the best: the first of these that the sweep has. Smaller is better."""
HIGHER_IS_BETTER = ("accuracy/", "modes/captured", "modes/balanced", "modes/high_quality", "coverage/")
HEADLINES = ("accuracy/test", "gap/", "modes/captured", "modes/high_quality")
"""What a verdict tells of the best setting."""
MOST_BEST, MOST_LOST = 10, 50
FOLDS = (
    "{}: runs that differ in their fold are averaged. Their training points overlap, so that the interval of such a "
    "mean is too narrow, by an amount that no estimator knows (Bengio and Grandvalet 2004)"
)
INTERVAL = "95 % interval, or few values"


def shown_quantities(rows: Sequence[Row]) -> list[str]:
    """Return the quantities to show; those of an unknown task are its first six."""
    present = final_tags(rows)
    known = [tag for tag in SHOWN if tag in present]
    if not draws_samples(present):
        names = split_quantities(present)
        wanted = [f"{name}/test" for name in names] + [f"gap/{name.replace('/', '_')}" for name in names]
        known += [tag for tag in wanted if tag in present and tag not in known]
    return known or list(present)[:6]


def monitor(rows: Sequence[Row]) -> str | None:
    """Return the quantity that makes a run the best, if the sweep has one."""
    present = final_tags(rows)
    own = [f"{name}/{split}" for split in ("val", "test") for name in split_quantities(present)]
    return next((tag for tag in (*MONITORS, *own) if tag in present), None)


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Return the runs that have the monitor, the best first."""
    tag = monitor(rows)
    having = [row for row in rows if tag is not None and math.isfinite(row.final.get(tag, math.nan))]
    return sorted(having, key=lambda row: row.final[str(tag)])


def best_value(summary: Summary, quantity: str, rows: Sequence[Row] = ()) -> float:
    """Return the best value of any run; for a gap that would be the luckiest.

    Which direction is better, the gaps of ``rows`` say: a positive one is worse on unseen points.
    """
    higher = quantity.startswith(HIGHER_IS_BETTER)
    name, gap = quantity.rpartition("/")[0], f"gap/{quantity.rpartition('/')[0].replace('/', '_')}"
    for row in rows:
        train, test, found = (row.final.get(tag) for tag in (f"{name}/train", f"{name}/test", gap))
        if train is not None and test is not None and found:
            higher = abs(train - test - found) < abs(test - train - found)
            break
    return max(summary.values) if higher else min(summary.values)


def sweep_tables(sweep: Path, rows: Sequence[Row], groups: Mapping[str, Sequence[Row]]) -> list[Table]:
    """Return all tables of a sweep, from its directories alone."""
    facts = Table("What ran", ("fact", "value"), list(_facts(sweep, rows).items()), folded=True)
    tables = [setting_table(rows, groups), _rungs(rows), _best_runs(rows), facts]
    tables += [_by_setting(quantity, groups) for quantity in shown_quantities(rows)]
    lost = [row for row in rows if row.status not in ("finished", PRUNED)]
    if lost:
        cells = [(row.name, row.status, _reason(sweep, row)) for row in lost[:MOST_LOST]]
        more = f" (the first {MOST_LOST} of {len(lost)})" if len(lost) > MOST_LOST else ""
        tables.insert(1, Table(f"Not finished{more}", ("run", "status", "reason"), cells))
    return [table for table in tables if table.rows]


def _rungs(rows: Sequence[Row]) -> Table:
    """Return how far the runs of a search came."""
    finished = sum(row.status == "finished" for row in rows)
    steps = Counter(row.pruned_at for row in rows if row.pruned_at is not None)
    cells = []
    for step in sorted(steps):
        reached = finished + sum(count for other, count in steps.items() if other >= step)
        cells.append((str(step), str(reached), str(steps[step]), str(reached - steps[step])))
    columns = ("rung (step)", "runs that reached it", "pruned there", "went on")
    return Table("Successive halving: pruned runs are not in the means below", columns, cells)


def _reason(sweep: Path, row: Row) -> str:
    return row.reason or str(read_json(sweep / row.name / "run.json").get("error") or "")


def finished_of(rows: Sequence[Row]) -> str:
    """Say how many runs finished, and how many a search has pruned."""
    finished, pruned = (sum(row.status == status for row in rows) for status in ("finished", PRUNED))
    return f"{finished} of {len(rows)} runs finished" + (f", {pruned} were pruned" if pruned else "")


def verdict_of_sweep(rows: Sequence[Row], groups: Mapping[str, Sequence[Row]]) -> str:
    """Say how many runs finished, which setting is best by the monitor, and by how much."""
    text = finished_of(rows) + "."
    tag = monitor(rows)
    if tag is None:
        return text
    found = {name: summarize(members, tag) for name, members in groups.items()}
    order = sorted(
        ((s.mean, name, len(s.values)) for name, s in found.items() if s and math.isfinite(s.mean))
    )
    if not order:
        return text
    mean, name, count = order[0]
    runs = "1 run" if count == 1 else f"{count} runs"
    if len(order) == 1:
        text += f" The mean of {tag} over {runs} is {number(mean)}."
    else:
        text += f" By {tag} of the last weights {name} is best: {number(mean)}, the mean of {runs}, "
        text += f"{number(order[1][0] - mean)} below the next setting."
    shown = [quantity for quantity in shown_quantities(rows) if quantity.startswith(HEADLINES)]
    told = [(quantity, summarize(groups[name], quantity)) for quantity in shown]
    cells = [_told(q, found, groups[name]) for q, found in told if found is not None]
    where = "There" if len(order) > 1 else "In the mean"
    return f"{text} {where}: {'; '.join(cells)}." if cells else text


def _told(quantity: str, found: Summary, members: Sequence[Row]) -> str:
    """Say a mean with its interval, or with the least and the greatest value of few runs."""
    few = len(found.values) < FEWEST_FOR_INTERVAL
    ends = (min(found.values), max(found.values))
    low, high = ends if few else interval(found, quantity, most_possible(members, quantity))
    spread = f" ({'runs' if few else '95 %'}: {short(low)} to {short(high)})" if len(found.values) > 1 else ""
    return f"{quantity} {short(found.mean)}{spread}"


def _facts(sweep: Path, rows: Sequence[Row]) -> dict[str, str]:
    readable = next((row for row in rows if row.status != UNREADABLE), None)
    record = read_json(sweep / readable.name / "run.json") if readable else {}
    git = record.get("git")
    counts = Counter(row.status for row in rows)
    facts = {
        "runs": f"{len(rows)}: " + ", ".join(f"{number} {status}" for status, number in counts.items()),
        "varied": ", ".join(varied_keys(rows)) or "seeds only",
        "folds": FOLDS.format(len(folds))
        if len(folds := {row.fold for row in rows if row.fold}) > 1
        else None,
        "command": record.get("command"),
        "git commit": git and git["commit"] + (" with changes" if git["dirty"] else ""),
        "started": record.get("started"),
        "seconds of all runs": f"{sum(row.seconds or 0 for row in rows):.1f}",
        "device": record.get("device"),
        "platform": record.get("platform"),
        "versions": ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items()),
    }
    return {key: str(text) for key, text in facts.items() if text not in (None, "")}


def _best_runs(rows: Sequence[Row]) -> Table:
    order, shown = ranked(rows)[:MOST_BEST], shown_quantities(rows)
    cells = [(row.name, *(number(row.final.get(tag)) for tag in shown)) for row in order]
    return Table(f"Best runs by {monitor(rows)} of the last weights", ("run", *shown), cells, folded=True)


def setting_table(rows: Sequence[Row], groups: Mapping[str, Sequence[Row]]) -> Table:
    """Return mean and interval of every quantity, a row a setting; the gaps come first."""
    shown = sorted(shown_quantities(rows), key=lambda quantity: not quantity.startswith("gap/"))
    cells = []
    for name, members in groups.items():
        row = [name, str(sum(bool(member.final) for member in members))]
        for quantity in shown:
            found = summarize(members, quantity)
            row.append("" if found is None else _mean_and_spread(found, quantity, members))
        cells.append(row)
    title = "By setting: mean (95 % interval, or the values of few runs)"
    return Table(title, ("setting", "runs", *shown), cells)


def _mean_and_spread(found: Summary, quantity: str, members: Sequence[Row]) -> str:
    spread = interval_text(found, quantity, most_possible(members, quantity))
    return number(found.mean) if len(found.values) == 1 else f"{number(found.mean)} ({spread})"


def _by_setting(quantity: str, groups: Mapping[str, Sequence[Row]]) -> Table:
    gap = quantity.startswith("gap/")
    cells = []
    for name, members in groups.items():
        found = summarize(members, quantity)
        if found is None:
            continue
        best = [] if gap else [number(best_value(found, quantity, members))]
        count, most = str(len(found.values)), most_possible(members, quantity)
        spread = interval_text(found, quantity, most)
        cells.append((name, count, *best, number(found.mean), number(found.deviation), spread))
    columns = ("setting", "runs", *([] if gap else ["best"]), "mean", "standard deviation", INTERVAL)
    return Table(f"{quantity} by setting", columns, cells, folded=True)


def most_possible(rows: Sequence[Row], quantity: str) -> float:
    """Return the number of modes where a quantity counts them: a perfect sampler captures all."""
    if quantity not in ("modes/captured", "modes/balanced"):
        return math.inf
    counts = (row.final.get(f"ceiling/{quantity}", math.inf) for row in rows if row.final)
    return max(counts, default=math.inf)
