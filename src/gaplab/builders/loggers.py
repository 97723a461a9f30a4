"""The loggers of a run."""

import os
from inspect import signature
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger

from gaplab.callbacks.trackers import NAME
from gaplab.config.logging import FILLED, LoggingConfig, logger_of
from gaplab.config.parts import build_part
from gaplab.errors import ConfigError
from gaplab.runs.directory import RunDirectory, read_json
from gaplab.storage.locking import alone
from gaplab.tensorboard.loggers import EventFiles, MetricsTable

NUMBERED_BY = ("run_id", "id", "experiment_key", "version")
"""Parameters by which a logger continues a run of its own: of MLflow, W&B, Comet, and others."""


def build_loggers(config: LoggingConfig, run: RunDirectory, *, continued: bool = False) -> list[Logger]:
    """Build the loggers of a run.

    Args:
        config: The section ``logging``.
        run: The directory.
        continued: Whether the run goes on from a checkpoint; its trackers then go on with theirs.

    Raises:
        ConfigError: If the package of an extra logger is missing.
    """
    loggers: list[Logger] = []
    if config.tensorboard:
        loggers.append(EventFiles(run.path))
    if config.csv:
        loggers.append(MetricsTable(run.path / "metrics.csv"))
    known = read_json(run.path / NAME) if continued and (run.path / NAME).is_file() else {}
    for number, entry in enumerate(config.extra):
        loggers.append(_extra_logger(entry, number, run, known))
    return loggers


def _extra_logger(entry: Any, position: int, run: RunDirectory, known: dict[str, Any]) -> Logger:
    key = f"logging.extra[{position}]"
    found, given = logger_of(entry, key)
    kind = next((one.__name__ for one in found.__mro__ if one.__name__ in FILLED), "")
    values = {name: value for name, value in _from_run(run).items() if name in FILLED.get(kind, ())} | given
    of_before = known.get(f"{position} {found.__name__}")
    if of_before is not None and not issubclass(found, CSVLogger):  # which would delete what it wrote before
        takes = signature(found).parameters
        name = next((name for name in NUMBERED_BY if name in takes), None)
        if name is not None:
            values = {name: of_before, **values}
    if issubclass(found, WandbLogger):
        _finish_wandb()
    if not issubclass(found, MLFlowLogger):
        return _built(found, values, key)
    # The database is created by the first process of a sweep.
    with alone(run.path.parent / ".mlflow.lock"):
        logger = _built(found, values, key)
        _make_experiment(values)
    return logger


def _built(found: type, values: dict[str, Any], key: str) -> Logger:
    try:
        logger: Logger = build_part(found, values, key)
    except ConfigError as error:
        package = {"WandbLogger": "wandb", "MLFlowLogger": "mlflow"}.get(found.__name__)
        if package is None or not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        raise ConfigError(
            f"{key}: expected the package {package!r} to be installed, but it is not. "
            f'Install it with: pip install "gaplab[{package}]", or in a clone: pip install -e ".[{package}]"'
        ) from error
    return logger


def _from_run(run: RunDirectory) -> dict[str, str]:
    """Return what loggers of Lightning are told of a run."""
    folder = run.path.parent
    # MLflow 3 refuses Lightning's default, a folder of files.
    store = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{(folder / 'mlflow.db').absolute()}")
    return {
        **{"project": folder.name, "name": run.path.name, "save_dir": str(run.path)},
        **{"experiment_name": folder.name, "run_name": run.path.name, "tracking_uri": store},
    }


def _finish_wandb() -> None:
    """End the run before this one in the same process, which W&B would continue."""
    import importlib.util

    if importlib.util.find_spec("wandb") is not None:
        import wandb

        if wandb.run is not None:
            wandb.finish()


def _make_experiment(values: dict[str, Any]) -> None:
    """Create the experiment in MLflow's store, unless it is there; two runs must not do so at once."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(values["tracking_uri"])
    if client.get_experiment_by_name(values["experiment_name"]) is None:
        client.create_experiment(values["experiment_name"], values.get("artifact_location"))
