"""Heavy imports without the garbage collector, and without what they load in vain."""

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

SIGNAL = "scipy.signal"


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import Torch and Lightning within this block; if that has happened before, it does nothing.

    The collector would look at the million objects of those modules again and again while they load, and
    once more when the interpreter ends, which together takes longer than a short training. Afterwards it
    leaves them alone.
    """
    if "lightning" in sys.modules or not gc.isenabled():
        yield
        return
    with collector_resting(), _without_signal():
        yield


@contextlib.contextmanager
def collector_resting(*, makes_garbage: bool = False) -> Iterator[None]:
    """Keep the garbage collector from working within this block, and from ever looking at what lives at its end.

    With ``makes_garbage``, much of that is to be collected: it looks afterwards.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not makes_garbage:
            gc.freeze()
        gc.enable()


class _Signal(ModuleType):
    """Stands for ``scipy.signal`` until somebody wants more of it than the name that torchmetrics looks for."""

    hamming = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # which an import of a part of it asks for
            raise AttributeError(name)
        if sys.modules.get(SIGNAL) is self:
            del sys.modules[SIGNAL]
        return getattr(importlib.import_module(SIGNAL), name)


@contextlib.contextmanager
def _without_signal() -> Iterator[None]:
    """Keep torchmetrics from loading ``scipy.signal``, a fifth of all imports, only to give it an old name.

    It asks for ``scipy.signal.hamming``, for another program's sake, and uses nothing of it.
    """
    lazy = find_spec("scipy") is not None and "__getattr__" in vars(importlib.import_module("scipy"))
    if SIGNAL in sys.modules or not lazy:
        yield
        return
    stand_in = _Signal(SIGNAL)
    sys.modules[SIGNAL] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(SIGNAL) is stand_in:
            del sys.modules[SIGNAL]
