"""From configuration to objects: the only room that knows all classes.

Start with ``tasks.py``, which builds data and task of a run, then ``trainer.py`` and ``callbacks.py``.
"""

from gaplab.builders.callbacks import build_callbacks
from gaplab.builders.loggers import build_loggers
from gaplab.builders.tasks import SharedDraws, build_data_and_task
from gaplab.builders.trainer import build_trainer

__all__ = ["SharedDraws", "build_callbacks", "build_data_and_task", "build_loggers", "build_trainer"]
