"""From configuration to objects: the parts of a run put together.

What one choice of a group stands for, its config class builds; here the parts are put together.
"""

from gaplab.builders.callbacks import build_callbacks
from gaplab.builders.loggers import build_loggers
from gaplab.builders.tasks import SharedDraws, build_data_and_task
from gaplab.builders.trainer import build_trainer

__all__ = ["SharedDraws", "build_callbacks", "build_data_and_task", "build_loggers", "build_trainer"]
