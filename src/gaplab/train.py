"""A whole run, top to bottom."""

from pathlib import Path

from rich.console import Console

from gaplab.builders import build_callbacks, build_data_and_task, build_loggers, build_trainer
from gaplab.builders.callbacks import TakesResult
from gaplab.builders.process import prepare_process
from gaplab.config.compose import Composed
from gaplab.config.logging import LoggingConfig, SubRuns
from gaplab.distributed.process_group import check_equal_parameters, reported_failures
from gaplab.distributed.ranks import ALONE, Ranks
from gaplab.distributed.requeue import requeue
from gaplab.errors import Preempted
from gaplab.phenomena.catalogue import run_phenomenon
from gaplab.process.signals import stop_signals_caught
from gaplab.reports.result_table import print_result
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.directory import RunDirectory, Status, read_json
from gaplab.runs.recorder import Recorder, conclude
from gaplab.runs.results import Result
from gaplab.runs.resume import Plan
from gaplab.storage.atomic import write_json
from gaplab.storage.locking import unlock
from gaplab.tensorboard.links import look_at_run


def run_planned(plan: Plan, ranks: Ranks = ALONE) -> float:
    """Do what is left of a plan; return what a sweep minimises."""
    if plan.composed.config.phenomenon.name is not None:
        return run_phenomenon(plan, ranks)
    if plan.finished:
        if ranks.rank == 0:
            print(f"Already finished: {plan.path}")
            unlock(plan.path)
        return float(read_json(plan.path / "result.json")["objective"])
    try:
        checkpoint, anew = plan.checkpoint, plan.anew
        return run_one(plan.composed, plan.path, checkpoint=checkpoint, anew=anew, ranks=ranks).objective
    except Preempted as error:
        if ranks.rank == 0:
            requeue(error)
        raise


def run_one(
    composed: Composed,
    path: Path,
    *,
    checkpoint: Path | None = None,
    anew: bool = False,
    ranks: Ranks = ALONE,
) -> Result:
    """Train one network on one draw of the data, measure its gap, and leave everything in ``path``.

    Args:
        composed: The configuration of the run.
        path: The run directory, which may hold the earlier part of the same run.
        checkpoint: A ``last.ckpt`` to continue from.
        anew: Choose the best weights among those from there on only.
        ranks: The place of this process among those of the run, which have joined their group.

    Raises:
        ConfigError: For a mistake of the user's that only shows when objects are built.
        DivergedError: If the loss is no longer finite; the directory says so too.
        Preempted: If a stop signal came; the state is saved.
    """
    config = composed.config
    prepare_process(config)
    data, task = build_data_and_task(config)
    if config.trainer.precision == "64-true":
        task.double()  # Lightning converts it only after it has put a checkpoint's weights into it
    run, recorder = RunDirectory(path, writes=ranks.rank == 0), Recorder(config, anew=anew)
    callbacks = build_callbacks(config, run, recorder, composed.overrides, composed.varied)
    loggers = build_loggers(config.logging, run, continued=checkpoint is not None)
    trainer = build_trainer(config, data, callbacks, loggers, ranks, path)
    run.open(composed)
    with stop_signals_caught(), run.recorded(), reported_failures(ranks):
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        check_equal_parameters(task)
        if recorder.step not in recorder.measured:  # continued at its end, perhaps on other data
            trainer.validate(task, datamodule=data, verbose=False)
            if recorder.record(recorder.step, task.scorecard()):
                trainer.save_checkpoint(run.best, weights_only=True)
        result = conclude(recorder, task, data, lambda: read_weights(run.best).weights)
        if run.writes:
            write_json(path / "result.json", result.as_json())
        run.prepare_mark(Status.finished)
        for callback in callbacks:
            if isinstance(callback, TakesResult):
                callback.on_result(trainer, result)
        if run.writes and not config.logging.checkpoints:
            run.remove_checkpoints()
        run.mark()  # the last thing that is written: who reads "finished" finds everything
    if run.writes:
        show(result, path, config.logging)
    return result


def show(result: Result, path: Path, logging: LoggingConfig) -> None:
    """Print the result of a run and where to look at it."""
    console = Console()
    print_result(result, console)
    console.print(f"Run: {path}", highlight=False, soft_wrap=True)
    generates = "gap/loss" not in result.last
    for line in look_at_run(path, logging.subruns is not SubRuns.never, generates):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
