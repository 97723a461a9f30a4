"""The runs of a sweep with a twin: which setting each has, and its pairs with the untouched ones."""

import csv
import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gaplab.errors import ConfigError
from gaplab.reports.ledger import natural
from gaplab.reports.paired_differences import Difference
from gaplab.storage.atomic import replacing

Setting = tuple[tuple[str, str], ...]
"""Keys and values that a run has and its twin has not."""
Seeds = tuple[str, ...]
TWIN: Setting = ()
SEEDS = ("data_seed", "init_seed", "train_seed")
NOT_SETTINGS = {"run", "status", "seconds", "experiment", "pruned_at_step", "order_seed", *SEEDS}
COMPUTE = ("trainer.max_steps",)
"""Keys that match the compute where they stand beside others, which then name the setting."""
QUANTITIES = ("test error", "gap", "test loss", "gap in loss")
KEPT = ("accuracy/test", "gap/accuracy", "loss/test", "gap/loss")
"""Columns of the ledger that they are made of."""
FEWEST = 3
"""Pairs below which a setting has no interval."""


@dataclass(slots=True)
class PairedRuns:
    """Runs of a study by level (what every run has a value of, such as the noise), setting and seeds."""

    level_key: str
    values: dict[str, dict[Setting, dict[Seeds, tuple[float, ...]]]]
    """The four ``QUANTITIES`` of every run that finished."""
    lost: Counter[str]
    """Runs that did not finish, by status."""
    rows: list[dict[str, str]] = field(repr=False)

    @property
    def levels(self) -> list[str]:
        return sorted(self.values, key=natural)

    @property
    def settings(self) -> list[Setting]:
        """All settings but the twin's, in the order of the ledger's keys and of their values."""
        found = {setting for runs in self.values.values() for setting in runs if setting != TWIN}
        order = list(self.rows[0])

        def place(setting: Setting) -> tuple[object, ...]:
            named = naming(setting)
            return len(named), [(order.index(key), natural(value)) for key, value in named]

        return sorted(found, key=place)

    def differences(self, level: str, setting: Setting) -> list[tuple[float, ...]]:
        """Return the four quantities of a setting less those of its twins, one row for all seeds that both have."""
        twins, runs = self.values[level].get(TWIN, {}), self.values[level].get(setting, {})
        return [_minus(runs[seeds], twins[seeds]) for seeds in sorted(runs) if seeds in twins]

    def interactions(self, level: str, setting: Setting) -> list[tuple[float, ...]]:
        """Return what a pair of settings changes beyond the sum of both alone, one row a draw."""
        runs = self.values[level]
        twins, together = runs.get(TWIN, {}), runs.get(setting, {})
        first, second = (runs.get(self.alone(word), {}) for word in naming(setting))
        return [
            _minus(_minus(together[s], first[s]), _minus(second[s], twins[s]))
            for s in sorted(together)
            if s in twins and s in first and s in second
        ]

    def alone(self, word: tuple[str, str]) -> Setting:
        """Return the setting that is named by one key and value; TWIN if there is none."""
        return next((one for one in self.settings if naming(one) == [word]), TWIN)


def _minus(these: tuple[float, ...], those: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(a - b for a, b in zip(these, those, strict=True))


def naming(setting: Setting) -> list[tuple[str, str]]:
    """Return the keys and values that name a setting.

    >>> naming((("task.num_members", "4"), ("trainer.max_steps", "240")))
    [('task.num_members', '4')]
    """
    others = [word for word in setting if word[0] not in COMPUTE]
    return others or list(setting)


def compare(rows: Iterable[tuple[float, ...]], comparisons: int) -> dict[str, Difference]:
    """Return the difference of every quantity; none where pairs are too few."""
    columns = list(zip(*rows, strict=True))
    if not columns or len(columns[0]) < FEWEST:
        return {}
    return {
        name: Difference.of(column, comparisons) for name, column in zip(QUANTITIES, columns, strict=True)
    }


def read_paired_runs(source: Path) -> PairedRuns:
    """Read the ledger of a sweep (its folder) or a compact one (``.csv.gz``).

    Raises:
        ConfigError: If there is none, or no run without settings of its own.
    """
    file = source / "ledger.csv" if source.is_dir() else source
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: expected the ledger of a sweep, but: {error.strerror}.") from error
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    keys = [key for key in (rows[0] if rows else {}) if "/" not in key and key not in NOT_SETTINGS]
    everywhere = [key for key in keys if all(row[key] for row in rows)]
    varied = [key for key in everywhere if len({row[key] for row in rows}) > 1]
    own = [key for key in keys if key not in everywhere]
    values: dict[str, dict[Setting, dict[Seeds, tuple[float, ...]]]] = defaultdict(lambda: defaultdict(dict))
    lost: Counter[str] = Counter()
    for row in rows:
        if row["status"] != "finished" or not all(row.get(key) for key in KEPT):
            lost[row["status"]] += 1
            continue
        setting = tuple((key, row[key]) for key in own if row[key])
        accuracy, gap, loss, loss_gap = (float(row[key]) for key in KEPT)
        level = ", ".join(row[key] for key in varied)
        values[level][setting][tuple(row[key] for key in SEEDS)] = (1 - accuracy, gap, loss, loss_gap)
    if not any(TWIN in runs for runs in values.values()):
        raise ConfigError(
            f"{file}: expected runs without any setting of their own, to compare the others with, but there are none. "
            'Put "" among hydra.sweeper.settings.'
        )
    return PairedRuns(", ".join(key.split(".")[-1] for key in varied), dict(values), lost, rows)


def write_compact(runs: PairedRuns, file: Path) -> None:
    """Write the columns that ``read_paired_runs`` needs as gzipped CSV, without a date in it."""
    first = runs.rows[0]
    keys = [key for key in first if "/" not in key and key not in ("run", "seconds", "experiment")]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*keys, *KEPT], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_shortened(row) for row in runs.rows)
    with replacing(file) as temporary:
        temporary.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))


def _shortened(row: Mapping[str, str]) -> dict[str, str]:
    return dict(row) | {key: f"{float(row[key]):.6g}" for key in KEPT if row.get(key)}


def by_key(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    """Return the settings of one key each, by that key; pairs are left out."""
    found: dict[str, list[Setting]] = defaultdict(list)
    for setting in settings:
        named = naming(setting)
        if len(named) == 1:
            found[named[0][0]].append(setting)
    return dict(found)
