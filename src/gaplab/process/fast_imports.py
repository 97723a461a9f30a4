"""Heavy imports without the garbage collector."""

import contextlib
import gc
import sys
from collections.abc import Iterator


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
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
