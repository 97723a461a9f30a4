"""Real and generated points side by side on the discriminator's field, and their animation."""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gaplab.figures.axes import Axes
from gaplab.figures.canvas import BLACK, Canvas, Extent
from gaplab.figures.decision_regions import probability_map, window
from gaplab.figures.palette import class_colors

Field = Callable[[Tensor], Tensor]
"""Points [P, 2] to the discriminator's scores [P]."""

WIDTH, HEIGHT = 640, 372
BOXES = ((44, 52, 324, 332), (348, 52, 628, 332))
MARGIN = 0.15
FULL_SHADE = 0.55
FRAME_MILLISECONDS = 150


def field_shades(field: Field, points: Tensor, extent: Extent, resolution: int) -> Tensor:
    """RGB [R, R, 3]: blue where the discriminator believes in real points, red where it does not.

    The colour is tanh(score − m), m being the mean score of the points, because a relativistic or
    Wasserstein discriminator has no zero of its own. White everywhere means that it cannot tell.
    """
    with torch.no_grad():
        middle = field(points).mean()
    scores = probability_map(lambda x: field(x)[:, None], extent, resolution, points.device)
    belief = torch.tanh(scores - middle)
    blue, red = torch.tensor(class_colors(2), device=points.device)
    return (1 - FULL_SHADE * belief.abs() * (1 - torch.where(belief > 0, blue, red))).nan_to_num(nan=0.5)


def draw_samples(
    real: Tensor,
    fake: Tensor,
    field: Field,
    *,
    real_labels: Tensor | None = None,
    fake_labels: Tensor | None = None,
    title: str = "",
    resolution: int = 140,
) -> Tensor:
    """True points on the left, generated ones on the right, the discriminator's field behind both.

    Args:
        real: points [P, 2]; the window is drawn around them.
        fake: points [Q, 2]; those outside the window are counted above it.
        field: scores of points, on the device of ``real``.
        real_labels, fake_labels: colour the points by class, for a conditional generator.
        title: heading.
        resolution: pixels on each side of the field, which is interpolated to the size of the picture.

    Returns:
        Pixels [H, W, 3] uint8.
    """
    extent = window(real, MARGIN)
    ground = field_shades(field, torch.cat([real, fake]), extent, resolution)
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.text(WIDTH / 2, 14, title, size=14)
    for box, points, labels, name in (
        (BOXES[0], real, real_labels, "true points"),
        (BOXES[1], fake, fake_labels, "generated points"),
    ):
        canvas.paste(ground, box, smooth=True)
        axes = Axes(canvas, box, extent)
        outside = int((~axes.inside(points)).sum())
        beyond = f", {outside} outside" if outside else ""
        canvas.text((box[0] + box[2]) / 2, box[1] - 14, f"{len(points)} {name}{beyond}", size=12)
        if labels is None:
            axes.dots(points, 1.1, BLACK)
        else:
            for c, color in enumerate(class_colors(int(labels.max()) + 1)):
                axes.dots(points[labels == c], 1.3, color)
        axes.finish(xlabel="", ylabel="")
    canvas.text(WIDTH / 2, HEIGHT - 10, "background: taken for real (blue) or generated (orange)", size=11)
    return canvas.pixels()


def draw_sample_grid(pictures: Mapping[str, bytes], columns: int = 4) -> Tensor:
    """Put the samples of several runs side by side, the true points first.

    Args:
        pictures: Name of a run to its picture, a PNG by ``draw_samples``.
        columns: Panels in a row.

    Returns:
        Pixels [H, W, 3] uint8.
    """
    images = {name: Image.open(io.BytesIO(png)).convert("RGB") for name, png in pictures.items()}
    first = next(iter(images.values()))
    panels = [("true points", first.crop(BOXES[0]))]
    panels += [(name, image.crop(BOXES[1])) for name, image in images.items()]
    side, room = BOXES[0][2] - BOXES[0][0], 24
    columns = min(columns, len(panels))
    canvas = Canvas(columns * (side + 8), -(-len(panels) // columns) * (side + room))
    for place, (name, panel) in enumerate(panels):
        left, top = place % columns * (side + 8), place // columns * (side + room) + room
        canvas.text(left + side / 2, top - 12, name, size=12)
        pixels = torch.from_numpy(np.array(panel))
        canvas.paste(pixels, (left, top, left + side, top + side))
    return canvas.pixels()


def encode_animation(frames: Sequence[bytes]) -> bytes:
    """Return pictures of equal size (PNG) as a GIF that repeats for ever and rests on the last one."""
    # Without dithering the flat ground compresses to a third.
    images = [Image.open(io.BytesIO(frame)).quantize(64, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MILLISECONDS] * (len(images) - 1) + [10 * FRAME_MILLISECONDS]
    buffer = io.BytesIO()
    images[0].save(buffer, "gif", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return buffer.getvalue()
