"""Images with their true and predicted classes."""

import torch
from torch import Tensor

from gaplab.figures.canvas import BLACK, Canvas
from gaplab.figures.palette import class_colors

COLUMNS = 10
CELL, CAPTION, TOP = 64, 18, 40
GAP = 6


def draw_image_grid(images: Tensor, labels: Tensor, predicted: Tensor, *, title: str = "") -> Tensor:
    """Draw images in rows, with the predicted class below each, and the true one too where it is another.

    Args:
        images: [P, 1 or 3 or more, H, W]; the first one or three channels are shown, from their least to their largest
            value.
        labels: true classes [P].
        predicted: predicted classes [P].
        title: heading.

    Returns:
        Pixels [H, W, 3] uint8.
    """
    shown = images.detach().float().cpu()
    shown = shown[:, :3] if shown.shape[1] >= 3 else shown[:, :1].expand(-1, 3, -1, -1)
    least, most = shown.min(), shown.max()
    shown = ((shown - least) / (most - least).clamp(min=1e-12)).permute(0, 2, 3, 1)
    height, width = shown.shape[1:3]
    scale = CELL / max(height, width)
    rows = max(1, -(-len(shown) // COLUMNS))
    canvas = Canvas(COLUMNS * (CELL + GAP) + GAP, TOP + rows * (CELL + CAPTION + GAP))
    canvas.text((COLUMNS * (CELL + GAP) + GAP) / 2, 16, title, size=14)
    _, wrong_color = class_colors(2)
    for number, (image, true, guess) in enumerate(
        zip(shown, labels.tolist(), predicted.tolist(), strict=True)
    ):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * (CELL + GAP), TOP + row * (CELL + CAPTION + GAP)
        right, bottom = left + round(width * scale), top + round(height * scale)
        canvas.paste(image, (left, top, right, bottom))
        text = str(guess) if guess == true else f"{guess}, is {true}"
        color = BLACK if guess == true else wrong_color
        canvas.text(left + CELL / 2, top + CELL + CAPTION / 2, text, size=11, color=color)
    return canvas.pixels()


def mistakes_first(labels: Tensor, predicted: Tensor, most: int) -> Tensor:
    """Return the positions of at most ``most`` points: those that are classified wrongly, then the others, in order."""
    return torch.argsort((predicted == labels).long(), stable=True)[:most]
