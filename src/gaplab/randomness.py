"""Random streams that are functions of a seed and a name, and of nothing else.

Every draw of a run comes from a generator made here, so what a run draws does not depend on how many
processes or models run beside it, nor on what was drawn before.
"""

import hashlib

import torch
from torch import Tensor


def make_generator(seed: int, *stream: str | int) -> torch.Generator:
    """Return a fresh CPU generator for one purpose of one seed, e.g. ``make_generator(0, "order", 3)``.

    Without a ``stream`` the generator is seeded with ``seed`` itself, as ``torch.manual_seed`` would do.
    """
    generator = torch.Generator()
    if not stream:
        return generator.manual_seed(seed)
    text = "/".join(str(part) for part in (seed, *stream))
    return generator.manual_seed(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1)


def epoch_order(num_points: int, train_seed: int, epoch: int) -> Tensor:
    """Return the order of the training points in one epoch, int64 [P]."""
    return torch.randperm(num_points, generator=make_generator(train_seed, "order", epoch))
