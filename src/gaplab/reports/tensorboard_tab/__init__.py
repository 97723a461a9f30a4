"""The tab "Generalization" of TensorBoard: what a run or a sweep found, on one page.

``plugin.py`` is what TensorBoard loads (the entry point ``tensorboard_plugins`` in ``pyproject.toml``);
``folders.py`` and ``findings.py`` read what it shows from run directories; ``page.js`` draws it and asks nobody else.
"""

from gaplab.reports.tensorboard_tab.plugin import GeneralizationPlugin

__all__ = ["GeneralizationPlugin"]
