"""gaplab: train classifiers and GANs on 2-D point sets and measure their generalization gap."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"
__all__ = ["GeneralizationGap", "__version__", "capacity_measures", "load_run", "register", "run", "runs"]

# Where compiled steps are kept. Torch takes a temporary folder, which does not last, as soon as anything loads Dynamo.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_CACHE / "gaplab" / "compiled"))

_HOMES = {
    "GeneralizationGap": "gaplab.callbacks.generalization_gap",
    "capacity_measures": "gaplab.metrics.capacity.of_loader",
    "load_run": "gaplab.builders.load_run",
    "register": "gaplab.config.registry",
    "run": "gaplab.notebook.running",
}


def __getattr__(name: str) -> Any:
    """Import a name only when it is asked for: most of them need torch, which ``--help`` can do without."""
    if name == "runs":
        return import_module("gaplab.runs")
    if name not in _HOMES:
        raise AttributeError(f"module 'gaplab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
