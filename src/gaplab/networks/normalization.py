"""Layers that shift and scale activations to mean 0 and variance 1."""

from torch import nn

MOST_GROUPS = 8


def build_norm(name: str, channels: int, *, images: bool = False) -> list[nn.Module]:
    """Return the norm called ``name`` as a list of one, or of none; it starts at scale 1 and shift 0.

    Args:
        name: ``none``; ``batch``: over the batch (Ioffe and Szegedy 2015); ``layer``: over the features of a point (Ba
            et al. 2016); ``group``: over up to 8 groups of them (Wu and He 2018).
        channels: Features of a point, or channels of an image.
        images: Whether there are pixels, [P, channels, H, W], instead of [P, channels].
    """
    if name == "batch":
        return [nn.BatchNorm2d(channels) if images else nn.BatchNorm1d(channels)]
    if name == "layer":
        return [nn.GroupNorm(1, channels) if images else nn.LayerNorm(channels)]
    if name == "group":
        groups = next(number for number in range(MOST_GROUPS, 0, -1) if channels % number == 0)
        return [nn.GroupNorm(groups, channels)]
    return []
