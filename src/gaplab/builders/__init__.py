"""From configuration to objects, where a section of the configuration does not build itself.

Nothing is measured or written here. Start with ``tasks.py``, which builds data and task of a run, then ``trainer.py`` and ``callbacks.py``.
"""

from gaplab.builders.callbacks import build_callbacks
from gaplab.builders.loggers import build_loggers
from gaplab.builders.tasks import SharedDraws, build_data_and_task
from gaplab.builders.trainer import build_trainer

__all__ = ["SharedDraws", "build_callbacks", "build_data_and_task", "build_loggers", "build_trainer"]
