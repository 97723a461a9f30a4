"""Names of sweeps and of their jobs: the same command means the same directories."""

import hashlib
import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
from omegaconf import DictConfig

from gaplab.config.logging import SubRuns
from gaplab.errors import ConfigError

LONGEST_NAME = 120
MOST_JOBS_WITH_SUBRUNS = 10
MOST_JOBS = 1_000_000
"""Their names alone fill the memory at some number."""


def sweep_name(overrides: Sequence[str]) -> str:
    """Return the folder of a sweep: a digest of its command line, in any order of its words."""
    return f"sweep-{_digest(sorted(word for word in overrides if not word.startswith('run.again=')))}"


def job_name(job_overrides: Sequence[str], sweep_overrides: Sequence[str], num: int) -> str:
    """Return the folder of one job: what differs between the jobs, as short as it stays unique.

    >>> job_name(["data.noise=0.2", "optimizer.lr=0.1", "seed=3"], ["data.noise=0.2", "seed=2,3"], 0)
    'lr=0.1,seed=3'
    """
    # Hydra writes a job's values in its own way (true becomes True), so keys are compared, not texts.
    typed = OverridesParser.create().parse_overrides(list(sweep_overrides))
    fixed = {override.key_or_group for override in typed if not override.is_sweep_override()}
    own = [text.lstrip("+~") for text in job_overrides if text.lstrip("+~").split("=")[0] not in fixed]
    if not own:
        return f"job-{num}"
    shortened = [text.split("=")[0].split(".")[-1] for text in own]
    counts = Counter(shortened)
    parts = [
        text if counts[short] > 1 else f"{short}={text.partition('=')[2]}"
        for text, short in zip(own, shortened, strict=True)
    ]
    name = re.sub(r"[^\w.,=\[\]+-]", "_", ",".join(parts))
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{_digest(own)}"


def fixed_words(job_overrides: Sequence[str], sweep_overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a job that are the same in all jobs of its sweep, as Hydra writes them.

    >>> fixed_words(["seed=3", "optimizer.lr=0.001"], ["seed=range(0,9)", "optimizer.lr=1e-3"])
    ['optimizer.lr=0.001']
    """
    parsed = OverridesParser.create().parse_overrides(list(sweep_overrides))
    fixed = {override.key_or_group for override in parsed if not override.is_sweep_override()}
    return [text for text in job_overrides if text.lstrip("+~").split("=")[0] in fixed]


def num_jobs(overrides: Sequence[str]) -> int:
    """Return how many jobs the words of a multirun stand for: the product of its lists and ranges.

    Of several words with one key the last counts: what is typed replaces what an experiment sweeps. Intervals and
    globs, which only a sweeper can count, stand for ``sys.maxsize``.

    >>> num_jobs(["seed=range(0,6)", "data.noise=0.1,0.2", "optimizer.lr=0.1"])
    12
    >>> num_jobs(["seed=range(5)", "data.noise=0.1,0.2", "seed=0,1,2"])
    6
    >>> num_jobs(["experiment=glob(notebook*)"]) == sys.maxsize
    True
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    latest = {override.key_or_group: override for override in parsed}
    sweeps = [override for override in latest.values() if override.is_sweep_override()]
    return math.prod(_num_values(override.value()) for override in sweeps)


def _num_values(sweep: Any) -> int:
    """Return how many values there are, without making them."""
    if isinstance(sweep, ChoiceSweep):
        return len(sweep.list)
    if isinstance(sweep, RangeSweep) and sweep.start is not None and sweep.stop is not None:
        if sweep.step == 0:
            raise ConfigError("range: expected a step other than 0, which leads nowhere.")
        return max(0, math.ceil((sweep.stop - sweep.start) / sweep.step))
    return sys.maxsize


def worst_objective(sweeper: Any) -> float:
    """Return what stands for the objective of a run that failed or diverged.

    A sweeper that optimises, as Optuna's, refuses NaN and would give up the whole study.

    Args:
        sweeper: Hydra's section ``sweeper``.
    """
    direction = sweeper.get("direction")
    if direction is None:
        return math.nan
    return -math.inf if "maximize" in str(direction) else math.inf


def limit_subruns(tree: DictConfig, overrides: Sequence[str]) -> None:
    """Turn ``logging.subruns=auto`` into ``never`` where the sub-runs of many jobs would bury the runs."""
    if tree.logging.subruns == SubRuns.auto and num_jobs(overrides) > MOST_JOBS_WITH_SUBRUNS:
        tree.logging.subruns = SubRuns.never


def _digest(words: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(words).encode(), digest_size=4).hexdigest()
