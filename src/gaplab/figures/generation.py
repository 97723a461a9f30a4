"""Real and generated points side by side on the discriminator's field: figure, pixels, animation."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gaplab.figures.decision_regions import Extent, probability_map, window
from gaplab.figures.palette import BLUE, VERMILLION, class_colors
from gaplab.figures.rendering import new_figure

Field = Callable[[Tensor], Tensor]
"""Points [P, 2] to the discriminator's scores [P]."""

FULL_SHADE = 0.55
GUTTER = 6
"""White pixels between two panels."""
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
    blue, red = (torch.tensor(to_rgb(color), device=points.device) for color in (BLUE, VERMILLION))
    return (1 - FULL_SHADE * belief.abs() * (1 - torch.where(belief > 0, blue, red))).nan_to_num(nan=0.5)


def raster_samples(
    real: Tensor,
    fake: Tensor,
    field: Field,
    *,
    real_labels: Tensor | None = None,
    fake_labels: Tensor | None = None,
    resolution: int = 192,
    extent: Extent | None = None,
) -> Tensor:
    """Real points on the left, generated ones on the right, as pixels [R, 2R + gutter, 3] uint8.

    Args:
        real: points [P, 2]; the window is drawn around them.
        fake: points [Q, 2]; those outside the window are not seen.
        field: scores of points, on the device of `real`.
        real_labels, fake_labels: colour the points by class, for a conditional generator.
        resolution: pixels R on each side of a panel.
        extent: the window; by default the square around the real points.
    """
    extent = extent or window(real, margin=0.15)
    ground = field_shades(field, torch.cat([real, fake]), extent, resolution)
    panels = [
        _stamped(ground, points, labels, extent)
        for points, labels in ((real, real_labels), (fake, fake_labels))
    ]
    picture = torch.cat([panels[0], ground.new_ones(resolution, GUTTER, 3), panels[1]], dim=1)
    return (255 * picture).round().to(torch.uint8)


def draw_samples(
    real: Tensor,
    fake: Tensor,
    field: Field,
    *,
    real_labels: Tensor | None = None,
    fake_labels: Tensor | None = None,
    title: str = "",
    resolution: int = 300,
) -> Figure:
    """The same two panels for reports, with axes; see `raster_samples` for the arguments."""
    left, right, bottom, top = extent = window(real, margin=0.15)
    ground = field_shades(field, torch.cat([real, fake]), extent, resolution).cpu().numpy()
    figure = new_figure(10.4, 5.4)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, points, labels, name in (
        (panels[0], real, real_labels, "true points"),
        (panels[1], fake, fake_labels, "generated points"),
    ):
        axes.imshow(ground, extent=extent, interpolation="bilinear", aspect="equal")
        x, y = points.cpu().T.numpy()
        colors = "black" if labels is None else [class_colors(int(labels.max()) + 1)[c] for c in labels]
        axes.scatter(x, y, s=3, c=colors, linewidths=0, alpha=0.6)
        outside = int((~_inside(points, extent)).sum())
        beyond = f", {outside} outside" if outside else ""
        axes.set(
            title=f"{len(points)} {name}{beyond}", xlim=(left, right), ylim=(bottom, top), xlabel="$x_1$"
        )
    panels[0].set_ylabel("$x_2$")
    figure.suptitle(title)
    figure.supxlabel("background: the discriminator takes blue for real and red for generated", fontsize=9)
    return figure


def save_animation(frames: Sequence[Path], path: Path) -> None:
    """Write pictures of equal size as a GIF that repeats for ever and rests on the last one."""
    # Without dithering the flat ground compresses to a third.
    images = [Image.open(frame).quantize(colors=64, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MILLISECONDS] * (len(images) - 1) + [10 * FRAME_MILLISECONDS]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0)


def save_frame(picture: Tensor, path: Path) -> None:
    """Write pixels [H, W, 3] uint8 as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.cpu().numpy()).save(path)


def _inside(points: Tensor, extent: Extent) -> Tensor:
    left, right, bottom, top = extent
    x, y = points.unbind(dim=1)
    return (x >= left) & (x < right) & (y > bottom) & (y <= top)


def _stamped(ground: Tensor, points: Tensor, labels: Tensor | None, extent: Extent) -> Tensor:
    """A copy of the ground with a dot of 2 × 2 pixels at each point in the window."""
    image, last = ground.clone(), len(ground) - 1
    kept = _inside(points, extent)
    left, right, bottom, top = extent
    x, y = points[kept].unbind(dim=1)
    row = ((top - y) / (top - bottom) * len(ground)).long()
    column = ((x - left) / (right - left) * len(ground)).long()
    colors = torch.tensor([[0.15, 0.15, 0.15]], device=ground.device)
    classes = torch.zeros_like(row)
    if labels is not None:
        colors = torch.tensor(class_colors(int(labels.max()) + 1), device=ground.device)
        classes = labels[kept]
    for c, color in enumerate(colors):  # one colour at a time: the order of repeated indices is undefined
        for down in (0, 1):
            for across in (0, 1):
                chosen = classes == c
                image[(row[chosen] + down).clamp(max=last), (column[chosen] + across).clamp(max=last)] = color
    return image
