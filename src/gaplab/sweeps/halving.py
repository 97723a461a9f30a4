"""Successive halving: all settings of a sweep are trained a little, the best of them longer, and so on to the end.

Budgets and rule are those of ASHA (Li et al. 2020, arXiv:1810.05934, Algorithm 1; Jamieson and Talwalkar 2016,
arXiv:1502.07943): of the settings at a rung the best 1/eta go on to eta times as many steps. The rungs are done one
after another, so that who goes on depends on no machine. A run always has its whole horizon: its learning-rate
schedule is that of ``trainer.max_steps``, and a run that reaches the end is the run of a full sweep.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

from gaplab.config.schema import Config
from gaplab.errors import ConfigError
from gaplab.reports.ledger import FOLD, SEEDS
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.run_job import status

Setting = list[SweepJob]


def rungs_of(config: Config, min_steps: int | None, eta: int) -> list[int]:
    """Return the steps at which runs are compared, the end not among them.

    They are the first measurements at or after ``min_steps * eta**k``.

    Args:
        config: Says how long a run is and when it is measured.
        min_steps: Steps of the first rung; None for ``max_steps / eta**3``, or the first measurement if that is later.
        eta: How many times longer the next rung is.

    Raises:
        ConfigError: If there is no rung before the end, or two fall on one measurement.
    """
    end, measured = config.num_steps, config.evaluation_steps
    if eta < 2:
        raise ConfigError(f"hydra.sweeper.eta: expected a whole number of at least 2, but got {eta}.")
    earliest = next(step for step in measured if step > 0)
    first = max(earliest, end // eta**3) if min_steps is None else min_steps
    if not 1 <= first < end:
        raise ConfigError(
            f"hydra.sweeper.min_steps: expected at least 1 and fewer than the {end} steps of a run "
            f"(trainer.max_steps), but got {first}."
        )
    rungs: list[int] = []
    while first < end and (step := measured[bisect_left(measured, first)]) < end:
        if rungs and rungs[-1] == step:
            raise ConfigError(
                f"hydra.sweeper.min_steps: expected rungs with a measurement between them, but the runs are not "
                f"measured between steps {first // eta} and {first}. Set trainer.eval_every_n_steps="
                f"{max(1, first // eta)}, or raise min_steps."
            )
        rungs.append(step)
        first *= eta
    if not rungs:
        raise ConfigError(
            f"hydra.sweeper.min_steps: expected a measurement between step {first} and the end at step {end}, but "
            f"there is none. Lower it, or set trainer.eval_every_n_steps={first}."
        )
    return rungs


def promoted(values: Sequence[float], eta: int) -> list[int]:
    """Return the places of the best ``len(values) / eta``, at least one, in their order; infinite ones never.

    >>> promoted([0.4, 0.1, 0.3, math.inf, 0.2, 0.5], 2), promoted([0.1, 0.1], 3), promoted([math.inf], 2)
    ([1, 2, 4], [0], [])
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    return sorted(place for place in order[: max(1, len(values) // eta)] if values[place] < math.inf)


def check_halving(jobs: Sequence[SweepJob], min_steps: int | None, eta: int) -> list[int]:
    """Return the rungs of a sweep.

    Raises:
        ConfigError: If its runs cannot be compared on the way.
    """
    for job in jobs:
        _check_judged(job.composed.config)
    if len(settings_of(jobs)) < 2:
        raise ConfigError(
            "hydra/sweeper=halving: expected two settings or more, of which the better ones go on, but the runs "
            f"differ at most in seeds and {FOLD}, over which values are averaged. Sweep over another key, or use "
            "hydra/sweeper=grid."
        )
    rungs = {(job.composed.config.num_steps, *rungs_of(job.composed.config, min_steps, eta)) for job in jobs}
    if len(rungs) > 1:
        raise ConfigError(
            "hydra/sweeper=halving: expected runs of equal length that are measured at equal steps, but "
            "trainer.max_steps, trainer.eval_every_n_steps or what an epoch is differ. Sweep over other keys."
        )
    return list(rungs.pop()[1:])


def _check_judged(config: Config) -> None:
    """Refuse a run that has no value of its own at a rung."""
    if config.phenomenon.name is not None or config.task.has_own_data:
        kind = "a phenomenon" if config.phenomenon.name is not None else f"task={type(config.task).__name__}"
        raise ConfigError(
            f"hydra/sweeper=halving: expected a task on a point set or table, whose steps are known before, but got "
            f"{kind}. Use hydra/sweeper=grid."
        )
    if not config.has_validation:
        raise ConfigError(
            "data.num_val_points: expected validation points, by which hydra/sweeper=halving chooses (it never "
            "looks at test), but it and data.num_folds are 0. Set one of them."
        )
    if config.trainer.test_only_at_end:
        raise ConfigError(
            "trainer.test_only_at_end: expected false with hydra/sweeper=halving, which needs validation on the way."
        )
    if not (config.logging.csv or config.logging.tensorboard):
        raise ConfigError(
            "logging.csv: expected true with hydra/sweeper=halving, which reads the curves of the runs, or "
            "logging.tensorboard=true."
        )


def settings_of(jobs: Sequence[SweepJob]) -> list[Setting]:
    """Return the jobs that differ in nothing but seeds and folds, together, in order."""
    found: dict[tuple[str, ...], Setting] = {}
    for job in jobs:
        words = (word.lstrip("+") for word in job.composed.overrides)
        found.setdefault(tuple(w for w in words if w.split("=")[0] not in (*SEEDS, FOLD)), []).append(job)
    return list(found.values())


def halve(
    jobs: Sequence[SweepJob], rungs: Sequence[int], eta: int, train: Callable[[list[SweepJob]], list[float]]
) -> list[float]:
    """Train all jobs to the first rung, the best settings to the next one, and those of the last rung to the end.

    What an earlier command has done is not done again.

    Args:
        jobs: Checked by ``check_halving``.
        rungs: Steps before the end.
        eta: Of so many settings one goes on.
        train: Trains jobs until their ``until``; returns their objectives.

    Returns:
        The objectives of all jobs, NaN for those that did not reach the end.
    """
    alive = settings_of(jobs)
    for step in rungs:
        if len(alive) == 1:  # nothing is left to choose
            break
        at_work = [job for setting in alive for job in setting]
        if waiting := [replace(job, until=step) for job in at_work if not _is_through(job, step)]:
            train(waiting)
        values = [sum(_value_at(job, step) for job in setting) / len(setting) for setting in alive]
        kept = promoted(values, eta)
        best = f"; the best value on val is {min(values):.6g}" if kept else ""
        print(f"Rung at step {step}: {len(kept)} of {len(alive)} settings go on{best}.")
        for place in sorted(set(range(len(alive))) - set(kept)):
            _forget_weights(alive[place])
        alive = [alive[place] for place in kept]
    last = [job for setting in alive for job in setting]
    found = dict(zip((job.path for job in last), train(last) if last else [], strict=True))
    return [found.get(job.path, math.nan) for job in jobs]


def _is_through(job: SweepJob, step: int) -> bool:
    """Whether nothing is left to do for a job up to a rung."""
    from gaplab.tensorboard.read_curves import read_history

    ended = status(job.path)
    if ended is None or ended in ("finished", "diverged"):
        return ended is not None
    reached = max(read_history(job.path), default=-1)
    return reached > step or (reached == step and ended == "pruned")


def _value_at(job: SweepJob, step: int) -> float:
    """Return what is monitored on val at the latest measurement up to a rung, smaller is better; infinity without."""
    from gaplab.runs.recorder import Recorder
    from gaplab.tensorboard.read_curves import read_history

    if not _is_through(job, step):
        return math.inf
    history, books = read_history(job.path), Recorder(job.composed.config)
    if status(job.path) == "diverged" and max(history, default=-1) < step:
        return math.inf
    tables = [history[one] for one in sorted(history) if one <= step]
    tags = [(table, books.monitored(table).format(split="val")) for table in tables]
    measured = [(table, table[tag]) for table, tag in tags if tag in table]
    if not measured:
        return math.inf
    table, value = measured[-1]
    return -value if books.wants_more(table) else value


def _forget_weights(setting: Setting) -> None:
    from gaplab.runs.directory import RunDirectory

    for job in setting:
        if not job.composed.config.logging.checkpoints and job.path.is_dir():
            RunDirectory(job.path).remove_checkpoints()
