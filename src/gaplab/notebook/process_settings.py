"""Settings of the whole process, given back after a run to whoever works on in it."""

import contextlib
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from gaplab.config.extensions import LOADED


@contextlib.contextmanager
def process_settings_kept() -> Iterator[None]:
    """Give back, after the block, what a run sets: generators, threads, determinism, warnings, environment, argv."""
    log = logging.getLogger("lightning.pytorch")
    environment, words, level = dict(os.environ), list(sys.argv), log.level
    threads, kind = torch.get_num_threads(), torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with warnings.catch_warnings(), torch.random.fork_rng(list(range(torch.cuda.device_count()))):
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)
            torch.set_num_threads(threads)
            torch.set_default_dtype(kind)
            torch.use_deterministic_algorithms(deterministic, warn_only=only_warns)
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
            log.setLevel(level)
            sys.argv[:] = words
            loaded = os.environ.get(LOADED)  # those files stay imported
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment | ({} if loaded is None else {LOADED: loaded}))
