"""One chunk of a sweep: K planned runs trained as one ensemble, each left behind as a full run."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Trainer

from gaplab.assembly import build_run, build_trainer
from gaplab.callbacks.charts import charts
from gaplab.callbacks.keeper import Keeper
from gaplab.callbacks.measures import FinalMeasures, bound_lines
from gaplab.callbacks.preemption import Preempted, signals_noted
from gaplab.data.datamodule import Split
from gaplab.ensembles.blocks import EnsembleData
from gaplab.ensembles.classification import classification_problem
from gaplab.ensembles.ensemble import Ensemble, Kernels
from gaplab.ensembles.member import Member
from gaplab.ensembles.problem import optimizer_names
from gaplab.ensembles.stacking import stack, stacked_state, unstack
from gaplab.runs.atomic import without_waiting, write_json
from gaplab.runs.checkpoints import read_checkpoint, read_weights
from gaplab.runs.directory import RunDirectory, Status
from gaplab.runs.event_files import write_events, write_metrics, write_session
from gaplab.runs.locking import unlock
from gaplab.runs.member_files import member_checkpoint, save_checkpoint, save_weights
from gaplab.runs.opening import Plan
from gaplab.runs.results import Result
from gaplab.study import prepare_process
from gaplab.tasks.classification import Classifier
from gaplab.tasks.optimization import count_steps

Report = Callable[[int, int], None]
"""`report(model_steps, diverged)`: model-steps taken and runs diverged since the last call."""


class Chunk:
    """The runs of some plans, which must agree in `ensembles.grouping.group_key` and in their step.

    Args:
        plans: What to train; none of them finished.
        width: Number of models to compute with; at least the number of plans.
        compile: Whether to compile the step and the scoring.
        kernels: Those of an earlier chunk of the same group and width.
        report: Told about the progress after every block of steps.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        *,
        width: int,
        compile: bool = False,
        kernels: Kernels | None = None,
        report: Report | None = None,
    ) -> None:
        self.plans = list(plans)
        self.report = report
        self.results: list[Result | None] = [None] * len(self.plans)
        self.started = time.perf_counter()
        configs = [plan.composed.config for plan in self.plans]
        self.config = configs[0]
        prepare_process(self.config)
        self.directories = [RunDirectory(plan.path) for plan in self.plans]
        self.members: Sequence[Member] = [Member(config) for config in configs]
        self.dtype = torch.float64 if self.config.trainer.precision == "64-true" else torch.float32
        self.ensemble = self._build(width, compile, kernels)
        self._restore()

    def _build(self, width: int, compile: bool, kernels: Kernels | None) -> Ensemble:
        self.built = built = [build_run(member.config) for member in self.members]
        tasks: list[Classifier] = []
        for _, task in built:
            if type(task) is not Classifier:
                raise ValueError(f"the task {type(task).__name__} has no stacked form")
            tasks.append(task)
        splits: list[dict[str, Split]] = [data.splits for data, _ in built]
        self.num_train_points = [len(split["train"]) for split in splits]
        problem = classification_problem([member.config for member in self.members], tasks, self.dtype)
        return Ensemble(
            self.members,
            problem,
            splits,
            width=width if compile else len(self.members),
            compile=compile,
            kernels=kernels,
        )

    def _restore(self) -> None:
        """Continue from the checkpoints of plans that have one."""
        if self.plans[0].checkpoint is None:
            return
        ensemble, names = self.ensemble, list(self.ensemble.problem.params[0])
        prefix = ensemble.problem.prefix
        saved = [read_checkpoint(plan.checkpoint) for plan in self.plans if plan.checkpoint is not None]
        last = [{name: one["state_dict"][prefix + name] for name in names} for one in saved]
        ensemble.params = stack(last, ensemble.width)
        best = []
        for run, member, one, weights in zip(self.directories, self.members, saved, last, strict=True):
            member.restore(int(one["global_step"]), one["callbacks"])
            kept = read_weights(run.best).weights if run.best.is_file() else None
            best.append(weights if kept is None else {name: kept[prefix + name] for name in names})
        ensemble.best = stack(best, ensemble.width)
        moments = [one["optimizer_states"][0]["state"] for one in saved]
        orders = [optimizer_names(m.config.optimizer, last[0]) for m in self.members]
        ensemble.state = stacked_state(moments, ensemble.state, orders)

    def train(self) -> list[Result | None]:
        """Train all runs and write them; None stands for a run that diverged."""
        with without_waiting():
            for plan, run in zip(self.plans, self.directories, strict=True):
                run.open(plan.composed)
        data = EnsembleData(self.members, self.ensemble.splits)
        quiet = replace(self.config.trainer, progress_bar=False, devices=1)
        keeper = Keeper(self, self.directories[0].last, self.config.trainer.checkpoint_every_n_seconds)
        trainer = build_trainer(replace(self.config, trainer=quiet), data, [keeper], [])  # type: ignore[arg-type]
        if self.members[0].step:
            count_steps(trainer, self.members[0].step)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*configure_optimizers. returned .None.*")
                with signals_noted():
                    trainer.fit(self.ensemble, datamodule=data)
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
            for run in self.directories:
                unlock(run.path)
        return self.results

    def _mark_rest(self, status: Status, error: str) -> None:
        for index, run in enumerate(self.directories):
            if self.results[index] is None and self.members[index].diverged_at is None:
                run.mark(status, error=error, seconds=self._seconds())

    def settle(self, trainer: Trainer) -> None:
        """Write the runs that are over and have not been written yet."""
        over = trainer.global_step >= self.config.num_steps
        left = [index for index, run in enumerate(self.directories) if "ended" not in run.record]
        gone = [index for index in left if over or not self.members[index].active]
        if not gone:
            return
        with without_waiting():
            for index in gone:
                if self.members[index].diverged_at is not None:
                    self._leave_diverged(index)
                else:
                    self._leave_finished(trainer, index)

    def _leave_diverged(self, index: int) -> None:
        run, step = self.directories[index], self.members[index].diverged_at
        error = f"the loss is not finite at step {step}"
        self._write_curves(index)
        write_session(run.path, self.plans[index].composed, self.members[index].history)
        run.mark(Status.diverged, error=error, diverged_at_step=step, **self._facts())

    def _leave_finished(self, trainer: Trainer, index: int) -> None:
        member, run = self.members[index], self.directories[index]
        self._write_curves(index)
        self.save(trainer, index)
        result = Result(
            step=member.step,
            epochs=member.step / member.config.data.steps_per_epoch,
            num_parameters=sum(p[0].numel() for p in self.ensemble.params.values()),
            num_train_points=self.num_train_points[index],
            last=member.history[member.step],
            criterion=self.built[index][1].criterion,
            history=member.history,
        )
        if member.best_step:
            result.best, result.best_step = member.history[member.best_step], member.best_step
        result.compare(member.config.published)
        measures = self._measures(index)
        result.bounds, result.measures = measures.bounds, measures.table
        news = {tag: value for tag, value in result.measures.items() if tag not in self._bounds(index)}
        if news:
            write_events(run.path, {member.step: news})
        write_session(run.path, self.plans[index].composed, member.history, result.best or result.last)
        write_json(run.path / "result.json", result.as_json())
        run.mark(Status.finished, **self._facts())
        self.results[index] = result

    def _measures(self, index: int) -> FinalMeasures:
        data, task = self.built[index]
        assert isinstance(task, Classifier), "checked when it was built"
        task.to(self.ensemble.device)
        task.network.load_state_dict(unstack(self.ensemble.params, index))
        config = self.members[index].config
        measures = FinalMeasures(config.measures, lambda: build_run(config)[1])
        measures.measure(task, data)
        return measures

    def save(self, trainer: Trainer, index: int) -> None:
        """Write ``best.ckpt`` and then ``last.ckpt`` of one run, as its own Trainer would."""
        member, run, ensemble = self.members[index], self.directories[index], self.ensemble
        if member.best_step:
            best = unstack(ensemble.best, index)
            save_weights(run.best, ensemble.problem.prefix, best, member.best_step)
        weights = unstack(ensemble.params, index)
        member.step = member.step if member.stopped else trainer.global_step
        content = member_checkpoint(trainer, ensemble, index, weights, run.path)
        save_checkpoint(run.last, content)

    def save_all(self, trainer: Trainer) -> None:
        """Write what every run that still trains would need to continue."""
        with without_waiting():
            for index, member in enumerate(self.members):
                if member.active:
                    self._write_curves(index)
                    self.save(trainer, index)

    def _write_curves(self, index: int) -> None:
        member = self.members[index]
        tables = {step: member.history[step] | more for step, more in member.extras.items()}
        if not tables:
            return
        logging, path = member.config.logging, self.directories[index].path
        if logging.tensorboard:
            lines = self._bounds(index)
            with_bounds = {step: table | lines for step, table in tables.items()}
            tags = next(iter(with_bounds.values()))
            write_events(path, with_bounds, charts(tags, subruns=False))
        if logging.csv:
            write_metrics(path / "metrics.csv", tables)
        member.extras = {}

    def _bounds(self, index: int) -> dict[str, float]:
        """The bounds that stay the same in training."""
        data, task = self.built[index]
        assert isinstance(task, Classifier), "checked when it was built"
        return bound_lines(self.members[index].config.measures, data, task.network)

    def _facts(self) -> dict[str, Any]:
        return {"seconds": self._seconds(), "trained_beside": len(self.members) - 1}

    def _seconds(self) -> float:
        """This run's share of the time that the chunk has taken."""
        return round((time.perf_counter() - self.started) / len(self.members), 4)
