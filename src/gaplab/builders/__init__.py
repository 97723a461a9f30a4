"""From configuration to objects: the parts of a run put together.

What one choice of a group stands for, its section of the configuration builds. Start with ``tasks.py``, which builds
data and task of a run, then ``trainer.py`` and ``callbacks.py``.
"""

from gaplab.builders.callbacks import build_callbacks
from gaplab.builders.loggers import build_loggers
from gaplab.builders.tasks import SharedDraws, build_data_and_task
from gaplab.builders.trainer import build_trainer

__all__ = ["SharedDraws", "build_callbacks", "build_data_and_task", "build_loggers", "build_trainer"]
