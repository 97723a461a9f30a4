"""The callbacks of a run: what is measured, drawn, kept and shown while it trains."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from gaplab.builders.tasks import build_data_and_task
from gaplab.callbacks.checkpoints import Checkpoints
from gaplab.callbacks.curves import GapCurves, SubRunCurves
from gaplab.callbacks.diagnostics import LayerDiagnostics
from gaplab.callbacks.global_generators import GlobalGenerators
from gaplab.callbacks.hparams_row import HParamsRow
from gaplab.callbacks.profiling import Profiling
from gaplab.callbacks.progress import StepProgress
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
) -> list[Callback]:
    """Build the callbacks of a run; what belongs to its kind of task, the task's section builds.

    Args:
        config: Its configuration.
        run: Its directory.
        recorder: Its books.
        overrides: What the user typed, for the run card and the HPARAMS row.
        varied: Keys that its sweep varies: what the row shows first, instead of all that was typed.
    """
    trainer, logging = config.trainer, config.logging
    subruns = logging.tensorboard and logging.subruns is not SubRuns.never
    callbacks: list[Callback] = [
        GlobalGenerators(config.train_seed),
        Recording(recorder),
        GapCurves(subruns, recorder, partial(config.task.build_lines, config)),
    ]
    if subruns:
        callbacks.append(SubRunCurves(run.path))
    if logging.tensorboard:
        shown = shown_settings(config, overrides, varied)
        callbacks.append(HParamsRow(run.path, flat_settings(config), shown, recorder))
        callbacks.append(RunCard(lambda: to_markdown(card_of(run.path, config, overrides, run.record))))
    if logging.diagnostics is not Diagnostics.none:
        callbacks.append(LayerDiagnostics(histograms=logging.diagnostics is Diagnostics.full))
    callbacks += config.task.build_callbacks(config, run, recorder, lambda: build_data_and_task(config)[1])
    if trainer.profiler:
        callbacks.append(Profiling(run.path))
    callbacks.append(Checkpoints(run.last, run.best, trainer.checkpoint_every_n_seconds, recorder))
    if trainer.progress_bar:
        callbacks.append(StepProgress(config.num_steps))
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
