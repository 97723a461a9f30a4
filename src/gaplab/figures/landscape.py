"""A slice of the loss around a solution (Li et al., Visualizing the Loss Landscape of Neural Nets, 2018)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gaplab.figures.axes import Axes, draw_colorbar
from gaplab.figures.canvas import WHITE, Canvas
from gaplab.figures.decision_regions import BOX, HEIGHT, SIDE, WIDTH, boundary_pixels
from gaplab.figures.palette import ramp

Parameters = dict[str, Tensor]

SMALLEST_LOSS = 1e-8
NUM_LEVELS = 12


def scaled_direction(parameters: Parameters, generator: torch.Generator) -> Parameters:
    """Return a random direction of which each row has the length of the same row of the weights.

    The row is what feeds one unit: without this scaling, the picture of a ReLU network would depend on how
    its weights are spread over the layers. A bias vector counts as one row.
    """
    direction = {}
    for name, weight in parameters.items():
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        rows = noise.view(len(weight), -1) if weight.ndim > 1 else noise.view(1, -1)
        lengths = weight.detach().cpu().double().reshape(rows.shape).norm(dim=1, keepdim=True)
        rows = rows / rows.norm(dim=1, keepdim=True) * lengths
        direction[name] = rows.view(weight.shape).to(weight)
    return direction


@torch.no_grad()
def slice_losses(
    loss: Callable[[Parameters], Tensor],
    parameters: Parameters,
    first: Parameters,
    second: Parameters,
    *,
    reach: float = 1.0,
    resolution: int = 13,
) -> Tensor:
    """Return the losses [R, R] at ``parameters + a first + b second``, a and b in [-reach, reach].

    Columns are a from left to right, rows are b from the top (largest) to the bottom.
    """
    steps = torch.linspace(-reach, reach, resolution).tolist()
    rows = []
    for b in reversed(steps):
        shifted = {name: weight + b * second[name] for name, weight in parameters.items()}
        rows.append([float(loss({name: w + a * first[name] for name, w in shifted.items()})) for a in steps])
    return torch.tensor(rows)


def draw_landscape(losses: Tensor, *, reach: float = 1.0, title: str = "") -> Tensor:
    """Colours and level lines of log10 of the losses [R, R] of ``slice_losses``, as pixels [H, W, 3] uint8."""
    logs = losses.clamp(min=SMALLEST_LOSS).log10()
    finite = logs[logs.isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if high - low < 1e-3:
        low, high = low - 0.5, high + 0.5
    share = (logs - low) / (high - low)
    size = (SIDE, SIDE)
    share = interpolate(share[None, None], size=size, mode="bicubic", align_corners=True)[0, 0]
    image = ramp(share)
    levels = boundary_pixels((share * NUM_LEVELS).floor())
    image[levels] = 0.5 * image[levels] + 0.5
    canvas = Canvas(WIDTH, HEIGHT)
    axes = Axes(canvas, BOX, (-reach, reach, -reach, reach), title)
    canvas.paste(image, BOX, smooth=True)
    axes.dots(torch.zeros(1, 2), 4, WHITE, edge=(0.0, 0.0, 0.0))
    axes.finish("direction 1 (lengths of the weights)", "direction 2")
    bar = (BOX[2] + 28, BOX[1] + 40, BOX[2] + 46, BOX[3] - 40)
    draw_colorbar(canvas, bar, low, high, ramp, "log10 loss")
    return canvas.pixels()
