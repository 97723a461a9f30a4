"""Samples of several runs side by side."""

import torch

from gaplab.figures.canvas import encode_png
from gaplab.figures.samples import BOXES, HEIGHT, WIDTH, draw_sample_grid


def picture(true: int, generated: int) -> bytes:
    pixels = torch.full((HEIGHT, WIDTH, 3), 255, dtype=torch.uint8)
    for (left, top, right, bottom), shade in zip(BOXES, (true, generated), strict=True):
        pixels[top:bottom, left:right] = shade
    return encode_png(pixels)


def test_the_true_points_come_first_and_every_run_has_a_panel() -> None:
    grid = draw_sample_grid({f"seed={shade}": picture(10, shade) for shade in (60, 120, 180)}, columns=2)
    side = BOXES[0][2] - BOXES[0][0]
    assert grid.shape == (2 * (side + 24), 2 * (side + 8), 3)
    middles = [
        int(grid[row * (side + 24) + 24 + side // 2, column * (side + 8) + side // 2, 0])
        for row in (0, 1)
        for column in (0, 1)
    ]
    assert middles == [10, 60, 120, 180]
