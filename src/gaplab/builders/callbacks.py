"""The callbacks of a run: what is measured, drawn, kept and shown while it trains."""

from collections.abc import Sequence

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping

from gaplab.builders.tasks import build_data_and_task
from gaplab.callbacks.checkpoints import Checkpoints
from gaplab.callbacks.curves import GapCurves, SubRunCurves
from gaplab.callbacks.diagnostics import LayerDiagnostics
from gaplab.callbacks.hparams_row import HParamsRow
from gaplab.callbacks.measures import FinalMeasures
from gaplab.callbacks.pictures import Pictures
from gaplab.callbacks.profiling import Profiling
from gaplab.callbacks.progress import StepProgress
from gaplab.callbacks.projector import Projector
from gaplab.callbacks.run_card import RunCard
from gaplab.callbacks.samples import SamplePictures
from gaplab.callbacks.stopping import StopAtTrainLevel
from gaplab.config.gan import GANConfig
from gaplab.config.hparams import flat_settings, shown_settings
from gaplab.config.logging import Diagnostics, SubRuns
from gaplab.config.schema import Config
from gaplab.reports.render import to_markdown
from gaplab.reports.run_card import card_of
from gaplab.runs.directory import RunDirectory
from gaplab.tasks.classifier_figures import classifier_figures


def build_callbacks(
    config: Config, run: RunDirectory, overrides: Sequence[str] = (), varied: Sequence[str] = ()
) -> list[Callback]:
    """Build the callbacks of a run.

    Args:
        config: Its configuration.
        run: Its directory.
        overrides: What the user typed, for the run card and the HPARAMS row.
        varied: Keys that its sweep varies: what the row shows first, instead of all that was typed.
    """
    trainer, logging = config.trainer, config.logging
    subruns = logging.tensorboard and logging.subruns is not SubRuns.never
    generates = isinstance(config.task, GANConfig)
    monitor = config.task.monitor.format(split="val")
    callbacks: list[Callback] = [GapCurves(subruns, config.measures)]
    if subruns:
        callbacks.append(SubRunCurves(run.path))
    if logging.tensorboard:
        callbacks.append(
            HParamsRow(run.path, flat_settings(config), shown_settings(config, overrides, varied))
        )
        callbacks.append(RunCard(lambda: to_markdown(card_of(run.path, config, overrides))))
    full = logging.diagnostics is Diagnostics.full
    if logging.diagnostics is not Diagnostics.none:
        callbacks.append(LayerDiagnostics(histograms=full))
    if logging.pictures and generates:
        callbacks.append(SamplePictures(run.figures))
    elif logging.pictures:
        callbacks.append(
            Pictures(run.figures, classifier_figures, logging.pictures_every_n_evaluations, all_along=full)
        )
    if logging.projector and not generates:
        callbacks.append(Projector())
    if trainer.profiler:
        callbacks.append(Profiling(run.path))
    if not generates:
        callbacks.append(FinalMeasures(config.measures, lambda: build_data_and_task(config)[1]))
    callbacks.append(Checkpoints(run.last, run.best, trainer.checkpoint_every_n_seconds, monitor))
    if trainer.early_stopping_patience is not None:
        callbacks.append(EarlyStopping(monitor, patience=trainer.early_stopping_patience))
    if trainer.stop_at_train_loss is not None or trainer.stop_at_train_accuracy is not None:
        callbacks.append(StopAtTrainLevel(trainer.stop_at_train_loss, trainer.stop_at_train_accuracy))
    if trainer.progress_bar:
        callbacks.append(StepProgress(config.num_steps))
    return callbacks
