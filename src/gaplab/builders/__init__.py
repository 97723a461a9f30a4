"""From configuration to objects: the only room that knows all classes.

Each group has a table from config class to builder. ``gaplab.config.registry.register`` adds a builder of
your own, which is called with the same arguments as those in the tables.
"""

from gaplab.builders.callbacks import build_callbacks
from gaplab.builders.loggers import build_loggers
from gaplab.builders.tasks import SharedDraws, build_data_and_task
from gaplab.builders.trainer import build_trainer

__all__ = ["SharedDraws", "build_callbacks", "build_data_and_task", "build_loggers", "build_trainer"]
