"""What the tags of a run say about it: which quantities it measures on the splits, and whether it draws samples."""

from collections.abc import Iterable

SPLITS = ("train", "val", "test")
BESIDE = ("ceiling", "bayes", "gap")
"""First parts of tags that stand beside a quantity and are none."""


def split_quantities(tags: Iterable[str]) -> list[str]:
    """Return the quantities that have a tag ``<quantity>/<split>``, in order.

    >>> split_quantities(["loss/train", "loss/test", "gap/loss", "r2/test", "modes/captured"])
    ['loss', 'r2']
    """
    found = [tag.rpartition("/") for tag in tags]
    return list(
        dict.fromkeys(
            name for name, _, split in found if split in SPLITS and name and name.split("/")[0] not in BESIDE
        )
    )


def draws_samples(tags: Iterable[str]) -> bool:
    """Whether a run judges samples: its scores have ceilings, what a perfect sampler gets."""
    return any(tag.startswith("ceiling/") for tag in tags)
