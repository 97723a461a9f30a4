"""The loggers of a run."""

import os
from importlib.util import find_spec

from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger

from gaplab.config.logging import LoggingConfig
from gaplab.errors import ConfigError
from gaplab.runs.directory import RunDirectory
from gaplab.tensorboard.loggers import EventFiles, MetricsTable


def build_loggers(config: LoggingConfig, run: RunDirectory) -> list[Logger]:
    """Build the loggers of a run.

    Raises:
        ConfigError: If the package of an extra logger is missing.
    """
    loggers: list[Logger] = []
    if config.tensorboard:
        loggers.append(EventFiles(run.path))
    if config.csv:
        loggers.append(MetricsTable(run.path / "metrics.csv"))
    return loggers + [_extra_logger(name, run) for name in config.extra]


def _extra_logger(name: str, run: RunDirectory) -> Logger:
    if find_spec(name) is None:
        raise ConfigError(
            f"logging.extra: expected the package {name!r} to be installed, but it is not. "
            f'Install it with: pip install "gaplab[{name}]", or in a clone: pip install -e ".[{name}]"'
        )
    folder = run.path.parent
    if name == "mlflow":
        # MLflow 3 refuses Lightning's default, a folder of files.
        store = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{(folder / 'mlflow.db').absolute()}")
        return MLFlowLogger(experiment_name=folder.name, run_name=run.path.name, tracking_uri=store)
    import wandb

    if wandb.run is not None:
        wandb.finish()  # the one before in this process; its run would be continued
    return WandbLogger(project=folder.name, name=run.path.name, save_dir=run.path)
