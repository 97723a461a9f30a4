"""One chunk of a sweep: K planned runs trained as one ensemble, each left behind as a full run."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Trainer

from gaplab.builders import SharedDraws, build_data_and_task, build_trainer
from gaplab.builders.process import prepare_process
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.errors import DivergedError, Preempted, Pruned
from gaplab.process.exits import tell_failure
from gaplab.process.memory import keep_freed_memory
from gaplab.process.signals import stop_signals_caught
from gaplab.runs.checkpoints import Weights, read_checkpoint, read_weights
from gaplab.runs.directory import RunDirectory, Status
from gaplab.runs.recorder import Recorder, conclude
from gaplab.runs.results import Result
from gaplab.runs.resume import Plan
from gaplab.stacked.batches import check_stackable
from gaplab.stacked.checkpoints import StackedCheckpoints
from gaplab.stacked.compaction import compact, worthwhile
from gaplab.stacked.datamodule import EnsembleData
from gaplab.stacked.ensemble import CompiledFunctions, Ensemble
from gaplab.stacked.run_files import (
    Progress,
    member_checkpoint,
    progress_of,
    save_checkpoint,
    save_weights,
    write_hparams_row,
    write_metrics,
)
from gaplab.stacked.stacking import unstack
from gaplab.storage.atomic import without_waiting, write_bytes, write_json
from gaplab.storage.locking import unlock
from gaplab.tasks.block_loop import count_steps
from gaplab.tensorboard.custom_scalars import charts
from gaplab.tensorboard.event_files import EVENT_FILES, write_events


class MembersFailedError(Exception):
    """Some runs cannot even be built; the others are not begun."""

    def __init__(self, errors: dict[int, Exception]) -> None:
        super().__init__(f"{len(errors)} runs cannot be built")
        self.errors = errors
        """By the place of the run."""


Report = Callable[[int, int], None]
"""``report(model_steps, diverged)``: model-steps taken and runs diverged since the last call."""


class StackedRuns:
    """The runs of some plans, which must agree in ``sweeps.grouping.group_key`` and in their step.

    Args:
        plans: What to train; none of them finished.
        width: Number of models to compute with; at least the number of plans.
        compile: Whether to compile the step and the scoring.
        compiled: Those of an earlier chunk of the same group and width.
        report: Told about the progress after every block of steps.

    Raises:
        MembersFailedError: If data or task of some runs cannot be built.
        ValueError: If data or networks have no stacked form.
        ValueError: If the runs cannot be stacked; the text says why.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        *,
        width: int,
        compile: bool = False,
        compiled: CompiledFunctions | None = None,
        report: Report | None = None,
    ) -> None:
        self.plans = list(plans)
        self.report = report
        self.results: list[Result | None] = [None] * len(self.plans)
        self.places = list(range(len(self.plans)))  # of the models still computed, in ``results``
        self.started = time.perf_counter()
        configs = [plan.composed.config for plan in self.plans]
        self.config = configs[0]
        prepare_process(self.config)
        keep_freed_memory()
        self.directories = [RunDirectory(plan.path) for plan in self.plans]
        self.members: Sequence[Recorder] = [Recorder(config) for config in configs]
        self.dtype = torch.float64 if self.config.trainer.precision == "64-true" else torch.float32
        self.built = _build(self.members)
        check_stackable([data for data, _ in self.built])
        for (_, task), run in zip(self.built, self.directories, strict=True):
            task.run_name = run.path.name
        self.ensemble: Ensemble = stack_class(configs)(
            self.members,
            [task for _, task in self.built],
            [data for data, _ in self.built],
            dtype=self.dtype,
            width=width if compile else len(self.members),
            compile=compile,
            compiled=compiled,
        )
        if self.plans[0].checkpoint is not None:
            self._restore()

    def _restore(self) -> None:
        """Continue from the checkpoints of the plans."""
        saved = [read_checkpoint(plan.checkpoint) for plan in self.plans if plan.checkpoint is not None]
        weights = [one.get("current_model_state", one["state_dict"]) for one in saved]
        best = []
        for run, member, one in zip(self.directories, self.members, saved, strict=True):
            member.restore(int(one["global_step"]), one["callbacks"])
            best.append(read_weights(run.best).weights if run.best.is_file() else one["state_dict"])
        self.ensemble.restore(weights, best, [one["optimizer_states"] for one in saved])
        if self.ensemble.average is not None:
            self.ensemble.average.restore(saved)

    def train(self) -> list[Result | None]:
        """Train all runs and write them; None stands for a run that diverged, or that was left at a rung."""
        opened = list(self.directories)
        with without_waiting():
            for plan, run, (built, _) in zip(self.plans, opened, self.built, strict=True):
                run.open(plan.composed, self.members[0].step, built.facts)
        data = EnsembleData(self.members, self.ensemble.splits)
        quiet = replace(self.config.trainer, progress_bar=False, devices=1)
        last, seconds = self.directories[0].last, self.config.trainer.checkpoint_every_n_seconds
        keeper = StackedCheckpoints(self, last, seconds, self.plans[0].until)
        trainer = build_trainer(replace(self.config, trainer=quiet), [keeper], [])
        if self.members[0].step:
            count_steps(trainer, self.members[0].step)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*configure_optimizers. returned .None.*")
                with stop_signals_caught():
                    trainer.fit(self.ensemble, datamodule=data)
        except Pruned as stop:
            for index, run in enumerate(self.directories):
                if "ended" not in run.record:
                    self._leave_pruned(index, stop)
        except Preempted as error:
            self._mark_rest(Status.preempted, str(error))
            raise
        except (KeyboardInterrupt, SystemExit) as error:
            self._mark_rest(Status.preempted, "interrupted")
            raise KeyboardInterrupt from error
        except BaseException as error:
            self._mark_rest(Status.failed, f"{type(error).__name__}: {error}")
            raise
        finally:
            for run in opened:
                unlock(run.path)
        return self.results

    def _mark_rest(self, status: Status, error: str) -> None:
        for index, run in enumerate(self.directories):
            if "ended" not in run.record and self.members[index].divergence is None:
                run.mark(status, error=error, seconds=self._seconds())

    def finalize_finished(self, trainer: Trainer) -> None:
        """Write the runs that are over and have not been written yet."""
        over = trainer.global_step >= self.config.num_steps
        left = [index for index, run in enumerate(self.directories) if "ended" not in run.record]
        gone = [index for index in left if over or not self.members[index].active]
        if not gone:
            return
        with without_waiting():
            self._measure_last(gone)
            progress = progress_of(trainer)
            for index in gone:
                try:
                    self._leave(progress, index)
                except DivergedError as error:
                    self._leave_diverged(index, error)
                except Exception as error:  # of one run: the others go on
                    self._leave_failed(index, error)
        active = [index for index, member in enumerate(self.members) if member.active]
        if not over and worthwhile(self.ensemble, len(active)):
            self._compact(active)

    def _measure_last(self, indices: Sequence[int]) -> None:
        """Measure the last weights of runs that are over; who spoils that has failed, and nobody else."""
        data = [data for data, _ in self.built]
        sound = [i for i in indices if self.members[i].divergence is None and self.members[i].failure is None]
        try:
            self.ensemble.measure_last(data, sound)
        except Exception:
            for index in sound:
                try:
                    self.ensemble.measure_last(data, [index])
                except Exception as error:
                    self.members[index].fail(error)

    def _compact(self, kept: list[int]) -> None:
        """Go on with some of the runs; the others are written."""
        compact(self.ensemble, kept)
        self.members = self.ensemble.members
        lists: list[list[Any]] = [self.plans, self.directories, self.built, self.places]
        for one in lists:
            one[:] = [one[index] for index in kept]

    def _leave(self, progress: Progress, index: int) -> None:
        """Write a run that is over.

        Raises:
            DivergedError: If it has diverged; its last measurement may be the one that shows it.
            Exception: What else has ended it.
        """
        member, run = self.members[index], self.directories[index]
        if (ended := member.divergence or member.failure) is not None:
            raise ended
        self._write_curves(index)
        if member.config.logging.checkpoints:
            self.save(progress, index)
        else:
            run.remove_checkpoints()
        data, task = self.built[index]
        task.load_state_dict(unstack(self.ensemble.weights(), index))
        best = Weights(unstack(self.ensemble.best, index), member.best_step)
        result = conclude(member, task, data, lambda: best, num_train_points=len(data.splits["train"]))
        known = member.history[member.step] | self._lines(index)
        news = {tag: value for tag, value in (result.last | result.measures).items() if tag not in known}
        if member.config.logging.tensorboard:
            write_events(run.path, {member.step: news | {"final/seconds": self._seconds()}})
        write_hparams_row(run.path, self.plans[index].composed, member, result.best or result.last)
        pictures = member.config.task.build_last_picture(member.config, task, data, member.step)
        for name, png in pictures.items():
            write_bytes(run.figures / name, png)
        write_json(run.path / "result.json", result.as_json())
        run.mark(Status.finished, **self._facts())
        self.results[self.places[index]] = result

    def _leave_diverged(self, index: int, error: DivergedError) -> None:
        run = self.directories[index]
        self.members[index].divergence = error
        self._write_curves(index)
        write_hparams_row(run.path, self.plans[index].composed, self.members[index])
        run.mark(Status.diverged, error=str(error), diverged_at_step=error.step, **self._facts())

    def _leave_pruned(self, index: int, stop: Pruned) -> None:
        run = self.directories[index]
        write_hparams_row(run.path, self.plans[index].composed, self.members[index], pruned_at=stop.step)
        run.mark(Status.pruned, error=str(stop), pruned_at_step=stop.step, **self._facts())

    def _leave_failed(self, index: int, error: Exception) -> None:
        run = self.directories[index]
        self.members[index].failure = error
        tell_failure(run.path.name, error)
        run.mark(Status.failed, error=f"{type(error).__name__}: {error}", **self._facts())

    def save(self, progress: Progress, index: int) -> None:
        """Write ``best.ckpt`` and then ``last.ckpt`` of one run, as its own Trainer would."""
        member, run, ensemble = self.members[index], self.directories[index], self.ensemble
        if member.has_best:
            save_weights(run.best, unstack(ensemble.best, index), member.best_step)
        member.step = member.step if member.stopped else progress.step
        save_checkpoint(run.last, member_checkpoint(progress, ensemble, index, run.path))

    def save_all(self, trainer: Trainer) -> None:
        """Write what every run that still trains would need to continue."""
        progress = progress_of(trainer)
        with without_waiting():
            for index, member in enumerate(self.members):
                if member.active:
                    self._write_curves(index)
                    self.save(progress, index)

    def _write_curves(self, index: int) -> None:
        member = self.members[index]
        tables = {step: member.history[step] | more for step, more in member.extras.items()}
        if not tables:
            return
        logging, path = member.config.logging, self.directories[index].path
        if logging.tensorboard:
            lines, begun = self._lines(index), any(path.glob(EVENT_FILES))
            shown = {step: table | lines for step, table in tables.items()}
            layout = None if begun else charts(next(iter(shown.values())), subruns=False)
            write_events(path, shown, layout)
        if logging.csv:
            write_metrics(path / "metrics.csv", tables)
        member.extras = {}

    def _lines(self, index: int) -> dict[str, float]:
        """What TensorBoard shows beside every measurement."""
        config = self.members[index].config
        return config.task.build_lines(config, *self.built[index])

    def _facts(self) -> dict[str, Any]:
        return {"seconds": self._seconds(), "trained_beside": len(self.results) - 1}

    def _seconds(self) -> float:
        """This run's share of the time that the chunk has taken."""
        return round((time.perf_counter() - self.started) / len(self.results), 4)


def _build(members: Sequence[Recorder]) -> list[tuple[PointDataModule, Any]]:
    draws: SharedDraws = {}
    built, errors = [], {}
    for place, member in enumerate(members):
        try:
            built.append(build_data_and_task(member.config, draws))
        except Exception as error:  # of one run: the others are built and go on
            errors[place] = error
    if errors:
        raise MembersFailedError(errors)
    return built


def stack_class(configs: Sequence[Config]) -> Callable[..., Ensemble]:
    """Return the class that trains tasks of one kind as stacked models."""
    found: Callable[..., Ensemble] = configs[0].task.build_stack_class()
    return found
