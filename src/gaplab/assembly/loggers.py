"""The loggers of a run."""

from importlib.util import find_spec

from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger

from gaplab.callbacks.loggers import EventFiles, MetricsTable
from gaplab.config.checks import ConfigError
from gaplab.config.logging import LoggingConfig
from gaplab.runs.directory import RunDirectory


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
            f"Install it with: pip install {name}"
        )
    if name == "mlflow":
        return MLFlowLogger(experiment_name=run.path.parent.name, run_name=run.path.name)
    return WandbLogger(project=run.path.parent.name, name=run.path.name, save_dir=run.path)
