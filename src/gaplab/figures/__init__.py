"""Tensors to matplotlib figures. Knows no logger."""

from gaplab.figures.confusion import draw_confusion_matrix
from gaplab.figures.curves import draw_gap_curves
from gaplab.figures.decision_regions import draw_decision_regions, raster_decision_regions
from gaplab.figures.rendering import new_figure, raster, save_png

__all__ = [
    "draw_confusion_matrix",
    "draw_decision_regions",
    "draw_gap_curves",
    "new_figure",
    "raster",
    "raster_decision_regions",
    "save_png",
]
