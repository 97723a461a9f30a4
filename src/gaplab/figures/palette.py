"""Colours that people with colour-blindness can tell apart."""

from matplotlib import colormaps
from matplotlib.colors import to_rgb

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
OKABE_ITO = (BLUE, VERMILLION, GREEN, PURPLE, "#56B4E9", "#E69F00", "#F0E442")


def class_colors(num_classes: int) -> list[tuple[float, float, float]]:
    """RGB in [0, 1] per class: Okabe & Ito's colours for up to 7 classes, else even steps along "turbo"."""
    if num_classes <= len(OKABE_ITO):
        return [to_rgb(color) for color in OKABE_ITO[:num_classes]]
    turbo = colormaps["turbo"]
    return [to_rgb(turbo((c + 0.5) / num_classes)) for c in range(num_classes)]
