"""From configuration to objects: the only room that knows all classes.

Each group has a table from config class to builder. ``gaplab.config.registry.register`` adds a builder of
your own, which is called with the same arguments as those in the tables.
"""

from gaplab.assembly.callbacks import build_callbacks
from gaplab.assembly.loggers import build_loggers
from gaplab.assembly.tasks import SharedDraws, build_run
from gaplab.assembly.trainer import build_trainer

__all__ = ["SharedDraws", "build_callbacks", "build_loggers", "build_run", "build_trainer"]
