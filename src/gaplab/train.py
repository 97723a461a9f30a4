"""A whole run, top to bottom."""

from pathlib import Path

from lightning.pytorch import Trainer
from rich.console import Console

from gaplab.builders import build_callbacks, build_data_and_task, build_loggers, build_trainer
from gaplab.builders.process import prepare_process
from gaplab.callbacks.curves import GapCurves
from gaplab.callbacks.hparams_row import HParamsRow
from gaplab.callbacks.measures import FinalMeasures
from gaplab.callbacks.run_card import RunCard
from gaplab.config.compose import Composed
from gaplab.config.logging import LoggingConfig, SubRuns
from gaplab.data.datamodule import PointDataModule
from gaplab.distributed.process_group import check_equal_parameters, reported_failures
from gaplab.distributed.ranks import ALONE, Ranks
from gaplab.distributed.requeue import requeue
from gaplab.errors import Preempted
from gaplab.networks import num_parameters
from gaplab.phenomena.catalogue import run_phenomenon
from gaplab.process.signals import stop_signals_caught
from gaplab.reports.result_table import print_result
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.directory import RunDirectory, Status, read_json
from gaplab.runs.results import Result
from gaplab.runs.resume import Plan
from gaplab.storage.atomic import write_json
from gaplab.storage.locking import unlock
from gaplab.tasks.task import Task
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
        return run_one(plan.composed, plan.path, checkpoint=plan.checkpoint, ranks=ranks).objective
    except Preempted as error:
        if ranks.rank == 0:
            requeue(error)
        raise


def run_one(
    composed: Composed, path: Path, *, checkpoint: Path | None = None, ranks: Ranks = ALONE
) -> Result:
    """Train one network on one draw of the data, measure its gap, and leave everything in ``path``.

    Args:
        composed: The configuration of the run.
        path: The run directory, which may hold the earlier part of the same run.
        checkpoint: A ``last.ckpt`` to continue from.
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
    run = RunDirectory(path, writes=ranks.rank == 0)
    callbacks = build_callbacks(config, run, composed.overrides, composed.varied)
    trainer = build_trainer(config, data, callbacks, build_loggers(config.logging, run), ranks)
    run.open(composed)
    with stop_signals_caught(), run.recorded(), reported_failures(ranks):
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        check_equal_parameters(task)
        result = measure(trainer, task, data, run)
        result.compare(config.published)
        report(result, run, config.logging)
        run.mark(Status.finished)
        if run.writes and not config.logging.checkpoints:
            run.remove_checkpoints()
    record_end(trainer, result)
    return result


def measure(trainer: Trainer, task: Task, data: PointDataModule, run: RunDirectory) -> Result:
    """Score the last and the best weights on all splits, in eval mode."""
    curves = next(callback for callback in trainer.callbacks if isinstance(callback, GapCurves))  # type: ignore[attr-defined]
    step = trainer.global_step
    last_weights = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    result = Result(
        step=step,
        epochs=step * trainer.accumulate_grad_batches / data.config.steps_per_epoch,
        num_parameters=num_parameters(task),
        num_train_points=len(data.splits["train"]),
        last=_scores(trainer, task, data),
        monitor=task.monitor,
        history=curves.history,
    )
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, FinalMeasures):
            result.bounds, result.measures = callback.bounds, callback.table
    if run.best.is_file():
        best = read_weights(run.best)
        task.load_state_dict(best.weights)
        result.best, result.best_step = _scores(trainer, task, data), best.step
        task.load_state_dict(last_weights)
    return result


def _scores(trainer: Trainer, task: Task, data: PointDataModule) -> dict[str, float]:
    trainer.validate(task, datamodule=data, verbose=False)
    return task.scorecard()


def report(result: Result, run: RunDirectory, shown: LoggingConfig) -> None:
    """Leave the result in the run directory and show it."""
    if run.writes:
        write_json(run.path / "result.json", result.as_json())
        console = Console()
        print_result(result, console)
        console.print(f"Run: {run.path}", highlight=False, soft_wrap=True)
        generates = "gap/loss" not in result.last
        for line in look_at_run(run.path, shown.subruns is not SubRuns.never, generates):
            console.print(line, highlight=False, soft_wrap=True, markup=False)


def record_end(trainer: Trainer, result: Result) -> None:
    """Write the final metrics, the status and the finished run card to TensorBoard."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, HParamsRow):
            callback.conclude(result.best or result.last, result.step)
        elif isinstance(callback, GapCurves):
            callback.write_final(trainer, result.last, result.step)
        elif isinstance(callback, RunCard):
            callback.write(trainer, result.step)
