"""Ways to spoil a point set on purpose: wrong labels, and input dimensions that carry no information."""

import torch
from torch import Tensor


def flip_labels(
    labels: Tensor,
    num_classes: int,
    share: float,
    *,
    include_true: bool = False,
    generator: torch.Generator,
) -> Tensor:
    """Replace the labels of round(share · P) randomly chosen points.

    Args:
        labels: true labels [P], int64 in 0 … num_classes − 1. Left unchanged; a new tensor is returned.
        num_classes: number of classes to draw from, at least 2.
        share: share of the points whose label is replaced, 0 … 1.
        include_true: False draws uniformly among the *other* classes, so that exactly this share is wrong.
            True draws among all classes; then share = 1 gives labels independent of the points, the "random
            labels" of Zhang et al. 2017.
        generator: the only source of randomness. The draws do not depend on ``share``, so from generators in
            the same state a larger share spoils the same points and more.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2 to flip labels, but got {num_classes}.")
    if not 0 <= share <= 1:
        raise ValueError(f"share of flipped labels must lie between 0 and 1, but got {share}.")
    num_points = len(labels)
    order = torch.randperm(num_points, generator=generator)
    shift = torch.randint(0 if include_true else 1, num_classes, (num_points,), generator=generator)
    chosen = order[: round(share * num_points)]
    flipped = labels.clone()
    flipped[chosen] = (labels[chosen] + shift[chosen]) % num_classes
    return flipped


def append_noise_dimensions(
    points: Tensor, num_dimensions: int, scale: float, generator: torch.Generator
) -> Tensor:
    """Points [P, D + num_dimensions]: the given ones [P, D], then columns of N(0, scale²) without meaning."""
    if num_dimensions < 0:
        raise ValueError(f"num_dimensions must not be negative, but got {num_dimensions}.")
    if scale < 0:
        raise ValueError(f"scale of the noise dimensions must not be negative, but got {scale}.")
    extra = torch.randn(len(points), num_dimensions, generator=generator, dtype=points.dtype)
    return torch.cat((points, scale * extra), dim=1)
