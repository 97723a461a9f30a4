"""A whole run, top to bottom."""

import math
from functools import partial
from pathlib import Path

from rich.console import Console

from gaplab.builders import build_callbacks, build_data_and_task, build_loggers, build_trainer
from gaplab.builders.callbacks import TakesResult
from gaplab.builders.initial_weights import keep_initial_weights, start_from
from gaplab.builders.process import prepare_process
from gaplab.callbacks.generalization_gap import scorecard, training_points
from gaplab.config.compose import Composed
from gaplab.config.logging import LoggingConfig
from gaplab.distributed.process_group import check_equal_parameters, reported_failures
from gaplab.distributed.ranks import ALONE, Ranks
from gaplab.distributed.requeue import requeue
from gaplab.distributed.sharding import ShardedStrategy
from gaplab.errors import Preempted, Pruned
from gaplab.networks.mlp import num_parameters
from gaplab.process.signals import stop_signals_caught
from gaplab.randomness import seeded_global_generators
from gaplab.reports.result_table import print_result
from gaplab.runs.anew import tell_finished
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.directory import RunDirectory, Status
from gaplab.runs.recorder import Recorder, conclude
from gaplab.runs.results import Result, read_objective
from gaplab.runs.resume import Plan
from gaplab.storage.atomic import write_json
from gaplab.storage.locking import unlock
from gaplab.tensorboard.links import how_to_look
from gaplab.tensorboard.loggers import event_writer


def run_planned(plan: Plan, ranks: Ranks = ALONE) -> float:
    """Do what is left of a plan; return what a sweep minimises."""
    if plan.composed.config.phenomenon.name is not None:
        from gaplab.phenomena.catalogue import run_phenomenon  # here, so that the package works without them

        return run_phenomenon(plan, ranks)
    if plan.finished:
        if ranks.rank == 0:
            tell_finished(plan.path)
            unlock(plan.path)
        return read_objective(plan.path)
    try:
        composed, path, checkpoint, anew = plan.composed, plan.path, plan.checkpoint, plan.anew
        return run_one(
            composed, path, checkpoint=checkpoint, anew=anew, until=plan.until, ranks=ranks
        ).objective
    except Pruned:
        return math.nan
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
    until: int | None = None,
    ranks: Ranks = ALONE,
) -> Result:
    """Train one network on one draw of the data, measure its gap, and leave everything in ``path``.

    Args:
        composed: The configuration of the run.
        path: The run directory, which may hold the earlier part of the same run.
        checkpoint: A ``last.ckpt`` to continue from.
        anew: Choose the best weights among those from there on only.
        until: The step at which to save the run and to leave it.
        ranks: The place of this process among those of the run, which have joined their group.

    Raises:
        ConfigError: For a mistake of the user's that only shows when objects are built.
        DivergedError: If the loss is no longer finite; the directory says so too.
        Preempted: If a stop signal came; the state is saved.
        Pruned: At the step ``until``; the state is saved.
    """
    config = composed.config
    prepare_process(config)
    data, task = build_data_and_task(config)
    if config.trainer.precision == "64-true":
        task.double()  # Lightning converts it only after it has put a checkpoint's weights into it
    if config.init_from is not None and checkpoint is None:
        start_from(task, config.init_from, config.init_from_weights)
    run, recorder = RunDirectory(path, writes=ranks.rank == 0), Recorder(config, anew=anew)
    callbacks = build_callbacks(
        config, run, recorder, composed.overrides, composed.varied, composed.number, task, until
    )
    loggers = build_loggers(config.logging, run, continued=checkpoint is not None)
    trainer = build_trainer(config, callbacks, loggers, ranks, data=data, root=path)
    sharded = isinstance(trainer.strategy, ShardedStrategy)
    size = num_parameters(task) if sharded else None
    step = read_weights(checkpoint).step if checkpoint is not None and run.writes else 0
    run.open(composed, step, getattr(data, "facts", None))
    keep_initial_weights(run, config, task, checkpoint)
    with stop_signals_caught(), run.recorded(), reported_failures(ranks):
        with seeded_global_generators(config.data_seed, "global", "setup"):  # where a project splits its data
            trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if not sharded:
            check_equal_parameters(task)
        if recorder.step not in recorder.measured:  # continued at its end, perhaps on other data
            trainer.validate(task, datamodule=data, verbose=False)
            if recorder.record(recorder.step, scorecard(task)):
                trainer.save_checkpoint(run.best, weights_only=True)
        points, epochs = training_points(trainer)
        best = partial(read_weights, run.best)
        result = conclude(recorder, task, data, best, num_train_points=points, epochs=epochs, size=size)
        if run.writes:
            write_json(path / "result.json", result.as_json())
        run.prepare_mark(Status.finished)
        for callback in callbacks:
            if isinstance(callback, TakesResult):
                callback.on_result(trainer, result)
        if (writer := event_writer(trainer)) is not None:
            writer.close()  # ``flush`` may return while TensorBoard's own thread is still writing
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
    if logging.tensorboard:
        console.print(how_to_look(path), highlight=False, soft_wrap=True, markup=False)
