"""Random streams that are functions of a seed and a name, and of nothing else.

Every draw of a run comes from a generator made here, so what a run draws does not depend on how many
processes or models run beside it, nor on what was drawn before.
"""

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def make_generator(seed: int, *stream: str | int) -> torch.Generator:
    """Return a fresh CPU generator for one purpose of one seed, e.g. ``make_generator(0, "order", 3)``.

    Without a ``stream`` the generator is seeded with ``seed`` itself, as ``torch.manual_seed`` would do.
    """
    generator = torch.Generator()
    if not stream:
        return generator.manual_seed(seed)
    return generator.manual_seed(stream_seed(seed, *stream))


def stream_seed(seed: int, *stream: str | int) -> int:
    """Return the seed in [0, 2^63) of one purpose of one seed."""
    text = "/".join(str(part) for part in (seed, *stream))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def seed_global_generators(seed: int, *stream: str | int) -> None:
    """Seed the generators of torch (all devices), NumPy and ``random`` that code of a user's may draw from.

    Nothing of ours does; ``nn.Linear`` and ``nn.Dropout`` do.
    """
    number = stream_seed(seed, *stream)
    if torch.accelerator.is_available():
        torch.manual_seed(number)
    else:  # it would note where it was called for every kind of device that may still come, a third of a step each
        torch.default_generator.manual_seed(number)
    np.random.seed(number % 2**32)
    random.seed(number)


@contextlib.contextmanager
def seeded_global_generators(seed: int, *stream: str | int) -> Iterator[None]:
    """Seed the global generators for the length of a block, and leave them as they were."""
    before = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
        seed_global_generators(seed, *stream)
        try:
            yield
        finally:
            np.random.set_state(before[0])
            random.setstate(before[1])


def epoch_order(num_points: int, train_seed: int, epoch: int) -> Tensor:
    """Return the order of the training points in one epoch, int64 [P]."""
    return torch.randperm(num_points, generator=make_generator(train_seed, "order", epoch))
