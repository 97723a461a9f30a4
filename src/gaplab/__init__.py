"""gaplab: train classifiers and GANs on 2-D point sets and measure their generalization gap."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "load_run", "register"]


def __getattr__(name: str) -> Any:
    """Import a name only when it is asked for: ``load_run`` needs torch, which ``--help`` can do without."""
    if name == "load_run":
        from gaplab.builders.load_run import load_run

        return load_run
    if name == "register":
        from gaplab.config.registry import register

        return register
    raise AttributeError(f"module 'gaplab' has no attribute {name!r}")
