"""The directory of a run: its files, status and checkpoints, how it is resumed, and its books.

Who trains, reads and writes through here, whether a run is alone or in a stack. Start with ``directory.py``, then
``recorder.py``, which keeps history, best weights and the rules by which a run stops.

``from gaplab import runs`` gives this package too, which can be called: ``runs("logs/sweep")`` is ``run_table.py``.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class _TableOfRuns(ModuleType):
    """The package, as the function that a notebook wants."""

    def __call__(self, folder: str | Path, *, curves: bool = False) -> list[dict[str, Any]]:
        from gaplab.runs.run_table import table_of_runs

        return table_of_runs(folder, curves=curves)


sys.modules[__name__].__class__ = _TableOfRuns
