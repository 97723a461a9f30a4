"""How this process keeps memory, and when it gives it up."""

import ctypes
import functools
import gc
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt`` in glibc's malloc.h."""
LARGEST_KEPT = 32 * 2**20
"""Bytes; glibc takes no more for ``M_MMAP_THRESHOLD``."""


@functools.cache
def keep_freed_memory() -> bool:
    """Keep what large tensors free instead of giving it back to the system; return whether that is possible.

    The next tensor would get it back page by page, which takes longer than the work on it: eager scoring of
    64 models spends two thirds of its time there. Only glibc is asked; other allocators do as they like.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def release_memory() -> None:
    """Give up the tensors of a training that is over.

    A Trainer, its loops and what it trained refer to each other. The collector finds that out by itself only when
    many objects have been made, and a sweep makes few: some gigabytes of points would wait for it.
    """
    gc.collect()
    _leave_the_rest_alone()


@functools.cache
def _leave_the_rest_alone() -> None:
    """Look no more at what lives after the first training, modules and compiled code: a third of a second a time."""
    gc.freeze()
