"""The confusion matrix as a picture."""

import torch
from torch import Tensor

from gaplab.figures.canvas import BLACK, WHITE, Canvas
from gaplab.figures.palette import ramp

BLUES = ("#ffffff", "#9ac8e0", "#0072B2")


def confusion_counts(predicted: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Counts [C, C] of points, true classes as rows, predicted ones as columns."""
    return torch.bincount(labels * num_classes + predicted, minlength=num_classes**2).view(num_classes, -1)


def draw_confusion_matrix(counts: Tensor, *, title: str = "") -> Tensor:
    """Counts [C, C], true classes as rows, predicted ones as columns; the colour is the share of the row.

    Returns:
        Pixels [H, W, 3] uint8.
    """
    num_classes = len(counts)
    counts = counts.detach().cpu()
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    cell = max(36, 300 // num_classes)
    left, top, side = 64, 36, cell * num_classes
    canvas = Canvas(max(left + side + 24, 300), top + side + 48)
    canvas.text(left + side / 2, top - 16, title, size=14)
    canvas.paste(ramp(shares, BLUES), (left, top, left + side, top + side))
    size = max(8, min(14, cell // 5))
    for row in range(num_classes):
        middle = top + cell * (row + 0.5)
        canvas.text(left - 12, middle, str(row), size=12)
        canvas.text(left + cell * (row + 0.5), top + side + 12, str(row), size=12)
        for column in range(num_classes):
            share = float(shares[row, column])
            color = WHITE if share > 0.6 else BLACK
            x = left + cell * (column + 0.5)
            canvas.text(x, middle - 0.6 * size, f"{int(counts[row, column]):,}", size=size, color=color)
            canvas.text(x, middle + 0.8 * size, f"{share:.1%}", size=size, color=color)
    canvas.frame((left, top, left + side, top + side))
    canvas.text(left + side / 2, top + side + 32, "predicted class")
    canvas.vertical_text(left - 38, top + side / 2, "true class")
    return canvas.pixels()
