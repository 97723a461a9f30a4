"""Colours that people with colour-blindness can tell apart."""

import torch
from torch import Tensor

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
TRAIN, VAL, TEST, GAP = BLUE, GREEN, VERMILLION, "#000000"
"""The splits and the gap between them have these colours in every figure."""
OF_BOUNDS = (PURPLE, "#56B4E9", "#E69F00", "#F0E442", "#7f7f7f")
"""Bounds that are told apart; none has the colour of a split or of the gap."""
OKABE_ITO = (BLUE, VERMILLION, GREEN, PURPLE, "#56B4E9", "#E69F00", "#F0E442")

VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#27ad81", "#5cc863", "#aadc32", "#fde725")
"""Nine even steps of the map by van der Walt and Smith (CC0): as a grey picture it is an even ramp."""
TURBO = ("#30123b", "#466be3", "#28bceb", "#32f298", "#a4fc3c", "#ecd13a", "#fb8122", "#d23105", "#7a0403")
"""Nine even steps of the map by Mikhailov (Apache 2.0)."""


def class_colors(num_classes: int) -> list[tuple[float, float, float]]:
    """RGB in [0, 1] per class: Okabe & Ito's colours for up to 7 classes, else even steps along "turbo"."""
    if num_classes <= len(OKABE_ITO):
        return [hex_color(color) for color in OKABE_ITO[:num_classes]]
    steps = (torch.arange(num_classes) + 0.5) / num_classes
    return [(red, green, blue) for red, green, blue in ramp(steps, TURBO).tolist()]


def ramp(values: Tensor, stops: tuple[str, ...] = VIRIDIS) -> Tensor:
    """RGB [..., 3] of values [...] in [0, 1], linear between evenly spaced stops; NaN is grey."""
    table = torch.tensor([hex_color(color) for color in stops], device=values.device)
    position = values.float().nan_to_num(nan=0.0).clamp(0, 1) * (len(stops) - 1)
    lower = position.floor().long().clamp(max=len(stops) - 2)
    share = (position - lower)[..., None]
    colors = (1 - share) * table[lower] + share * table[lower + 1]
    return torch.where(values.isnan()[..., None], torch.full_like(colors, 0.5), colors)


def hex_color(color: str) -> tuple[float, float, float]:
    """Return a colour such as ``#0072B2`` as RGB in [0, 1]."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue
