"""The callbacks of a run: what is measured, drawn, kept and shown while it trains."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from gaplab.builders.tasks import build_data_and_task
from gaplab.callbacks.checkpoints import Checkpoints, CheckpointSteps
from gaplab.callbacks.cost import TrainingCost
from gaplab.callbacks.curves import GapCurves, SubRunCurves
from gaplab.callbacks.diagnostics import LayerDiagnostics
from gaplab.callbacks.generalization_gap import GeneralizationGap, measures_itself
from gaplab.callbacks.global_generators import GlobalGenerators
from gaplab.callbacks.hparams_row import HParamsRow
from gaplab.callbacks.profiling import Profiling
from gaplab.callbacks.progress import ProgressLines, StepProgress, shows_bars
from gaplab.callbacks.recording import Recording
from gaplab.callbacks.run_card import RunCard
from gaplab.callbacks.torch_schedule import TorchSchedule
from gaplab.callbacks.trackers import Trackers
from gaplab.callbacks.weight_averaging import measured_average
from gaplab.config.hparams import flat_settings, shown_settings
from gaplab.config.logging import Diagnostics, SubRuns
from gaplab.config.parts import build_part, find_class, split_entry
from gaplab.config.registry import build_choice
from gaplab.config.schema import Config
from gaplab.reports.render import to_markdown
from gaplab.reports.run_card import card_of
from gaplab.runs.checkpoints import load_weights
from gaplab.runs.directory import RunDirectory
from gaplab.runs.recorder import Recorder
from gaplab.runs.results import Result


@runtime_checkable
class TakesResult(Protocol):
    """A callback that writes something when the result of a run is known."""

    def on_result(self, trainer: Trainer, result: Result) -> None: ...


def build_callbacks(
    config: Config,
    run: RunDirectory,
    recorder: Recorder,
    overrides: Sequence[str] = (),
    varied: Sequence[str] = (),
    number: int | None = None,
    task: LightningModule | None = None,
    until: int | None = None,
) -> list[Callback]:
    """Build the callbacks of a run; what belongs to its kind of task, the task's section builds.

    Args:
        config: Its configuration.
        run: Its directory.
        recorder: Its books.
        overrides: What the user typed, for the run card and the HPARAMS row.
        varied: Keys that its sweep varies: what the row shows, instead of all settings.
        number: Its place among the jobs of its sweep.
        task: What is trained; one that does not measure itself is measured by ``GeneralizationGap``.
        until: The step at which a search looks at the run.
    """
    trainer, logging = config.trainer, config.logging
    subruns = logging.tensorboard and logging.subruns is not SubRuns.never
    plain = task is not None and not measures_itself(task)
    callbacks: list[Callback] = [
        GlobalGenerators(config.train_seed),
        *([build_gap(config)] if plain else []),
        Recording(recorder),
        GapCurves(subruns, recorder, partial(config.task.build_lines, config), subruns and logging.pictures),
    ]
    if subruns:
        callbacks.append(SubRunCurves(run.path))
    if logging.tensorboard:
        shown = shown_settings(config, overrides, varied)
        callbacks.append(HParamsRow(run.path, flat_settings(config), shown, recorder, number))
        callbacks.append(RunCard(lambda: to_markdown(card_of(run.path, config, overrides, run.record))))
    if logging.diagnostics is not Diagnostics.none and not plain:
        callbacks.append(LayerDiagnostics(histograms=logging.diagnostics is Diagnostics.full))
    callbacks += config.task.build_callbacks(config, run, recorder, partial(initial_task, config, run))
    if trainer.profiler:
        callbacks.append(Profiling(run.path))
    keep = CheckpointSteps(logging.checkpoint_steps, logging.keep_best)
    every_n_seconds = trainer.checkpoint_every_n_seconds
    callbacks.append(Checkpoints(run.last, run.best, every_n_seconds, recorder, keep, until))
    cost = TrainingCost(lambda: run.record.get("seconds"))
    callbacks.append(cost)
    callbacks.append(ProgressLines(recorder, cost, run.log, shown=trainer.progress_bar and not shows_bars()))
    if trainer.progress_bar:
        in_epochs = config.task.has_own_data and trainer.max_epochs is not None
        callbacks.append(StepProgress(None if in_epochs else config.num_steps, cost))
    if config.schedule is not None:
        callbacks.append(_schedule(config, recorder))
    if logging.extra:
        callbacks.append(Trackers(run.path, flat_settings(config)))
    return callbacks + [
        _own_callback(entry, f"callbacks[{n}]", run) for n, entry in enumerate(config.callbacks)
    ]


def _schedule(config: Config, recorder: Recorder) -> TorchSchedule:
    section, length = config.schedule, config.schedule_length
    assert section is not None
    monitor = config.task.monitor
    return TorchSchedule(
        lambda optimizer: build_choice(section, optimizer, length),
        section.moves_after,
        recorder,
        (monitor.format(split="val"), monitor.format(split="train")),
    )


def _own_callback(entry: Any, key: str, run: RunDirectory) -> Callback:
    """Build an entry of the list ``callbacks``; what it writes goes to a folder of the run."""
    name, arguments = split_entry(entry, key)
    found = find_class("callback", name, key)
    if issubclass(found, ModelCheckpoint):
        arguments = {"dirpath": str(run.path / "model_checkpoints"), **arguments}
    callback: Callback = build_part(measured_average(found), arguments, key)
    return callback


def build_gap(config: Config) -> GeneralizationGap:
    """Return what measures a module that does not measure itself."""
    quantity = getattr(config.task, "monitor", None)
    mode = getattr(config.task, "monitor_mode", None)
    told = {quantity: mode == "max"} if quantity and mode else {}
    return GeneralizationGap(told, getattr(config.task, "max_batches", None), log=False)


def initial_task(config: Config, run: RunDirectory) -> LightningModule:
    """Build the task of a run again, with the weights that it started from."""
    task = build_data_and_task(config)[1]
    if run.initial.is_file():
        load_weights(task, run.initial)
    return task
