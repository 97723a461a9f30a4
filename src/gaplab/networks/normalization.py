"""Norms: of activations, to mean 0 and variance 1, and of weights, to a largest singular value of 1."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

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


def normalize_spectrally(network: nn.Module, generator: torch.Generator) -> None:
    """Divide every weight of linear and convolutional layers by its largest singular value (Miyato et al. 2018).

    The value is estimated by one step of power iteration in each forward pass in training mode.

    Args:
        network: Changed in place.
        generator: Draws where the iterations start.

    Raises:
        ValueError: If there is no such layer.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))]
    if not layers:
        raise ValueError("the network has no linear or convolutional layer whose norm could be limited")
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # torch draws the start from the global stream
        torch.manual_seed(seed)
        for layer in layers:
            spectral_norm(layer)
