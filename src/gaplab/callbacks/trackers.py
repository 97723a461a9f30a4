"""What trackers such as W&B and MLflow are told of a run beside its curves, and which of their runs it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger

from gaplab.runs.results import Result
from gaplab.storage.atomic import write_json
from gaplab.tensorboard.loggers import EventFiles, MetricsTable

NAME = "trackers.json"
"""File of a run directory: by position and class of a logger, what it calls the run."""


class Trackers(Callback):
    """Logs the settings at the start and the final scores at the end, with all loggers of ``logging.extra``.

    Args:
        folder: The run directory, which keeps what the trackers call the run.
        settings: The configuration, flat.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.settings = folder, dict(settings)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        numbers = {}
        for position, logger in enumerate(_extra(trainer)):
            getattr(logger, "experiment", None)  # begins the run of a tracker, which has a number only then
            logger.log_hyperparams(self._new_settings(logger))
            if logger.version is not None:
                numbers[f"{position} {type(logger).__name__}"] = logger.version
        write_json(self.folder / NAME, numbers)

    def _new_settings(self, logger: Logger) -> dict[str, Any]:
        """Return the settings to log: MLflow refuses a parameter that changed, which becomes a tag of its run."""
        if not isinstance(logger, MLFlowLogger):
            return dict(self.settings)
        client, number = logger.experiment, logger.run_id
        known = client.get_run(number).data.params
        for key, value in self.settings.items():
            if key in known and known[key] != str(value)[:250]:
                client.set_tag(number, f"resumed/{key}", str(value))
        return {key: value for key, value in self.settings.items() if key not in known}

    def on_result(self, trainer: Trainer, result: Result) -> None:
        """Log the scores of the best weights (of the last ones without validation) and the objective."""
        if not trainer.is_global_zero:
            return
        table = result.best or result.last
        final = {f"final/{name}": value for name, value in table.items()} | {"objective": result.objective}
        for logger in _extra(trainer):
            logger.log_metrics(final, step=result.step)
            logger.save()


def _extra(trainer: Trainer) -> list[Logger]:
    return [logger for logger in trainer.loggers if not isinstance(logger, EventFiles | MetricsTable)]
