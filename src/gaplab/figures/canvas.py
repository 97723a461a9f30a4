"""A small drawing surface: pictures in training must cost milliseconds; Matplotlib's take fifty and more.

Everything is drawn at twice the size and halved at the end, which makes smooth edges.
"""

import functools
import io
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Color = tuple[float, float, float]
"""Red, green, blue in [0, 1]."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""
Extent = tuple[float, float, float, float]
"""Left, right, bottom, top in data units."""

BLACK, GREY, WHITE = (0.1, 0.1, 0.1), (0.55, 0.55, 0.55), (1.0, 1.0, 1.0)
SCALE = 2


class Canvas:
    """A white sheet of ``width`` × ``height`` pixels; white, so that dark pages show it like light ones."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (SCALE * width, SCALE * height), "white")
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self, x: float, y: float, text: str, *, size: int = 13, anchor: str = "mm", color: Color = BLACK
    ) -> None:
        """Write one line at a point; the anchor is Pillow's: l, m, r and t, m, b (``s`` the baseline)."""
        self.draw.text((SCALE * x, SCALE * y), text, rgb(color), _font(SCALE * size), anchor)

    def vertical_text(self, x: float, y: float, text: str, *, size: int = 13) -> None:
        """Write one line that reads upwards, centred at a point."""
        left, top, right, bottom = _font(SCALE * size).getbbox(text)
        strip = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
        ImageDraw.Draw(strip).text((2 - left, 2 - top), text, 255, _font(SCALE * size))
        strip = strip.rotate(90, expand=True)
        corner = (int(SCALE * x - strip.width / 2), int(SCALE * y - strip.height / 2))
        self.image.paste(rgb(BLACK), corner, strip)

    def paste(self, pixels: Tensor, box: Box, *, smooth: bool = False) -> None:
        """Fill a box with pixels [H, W, 3], uint8, or floats in [0, 1]; row 0 is the top."""
        if pixels.is_floating_point():
            pixels = (255 * pixels.clamp(0, 1)).round().to(torch.uint8)
        left, top, right, bottom = (SCALE * edge for edge in box)
        patch = Image.fromarray(pixels.cpu().numpy())
        method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        self.image.paste(patch.resize((right - left, bottom - top), method), (left, top))

    def insert(self, sheet: "Canvas", left: int, top: int) -> None:
        """Put another sheet onto this one, its upper left corner at a pixel."""
        self.image.paste(sheet.image, (SCALE * left, SCALE * top))

    def dots(
        self, centres: Tensor, radius: float, color: Color, *, edge: Color | None = None, filled: bool = True
    ) -> None:
        """Draw discs or rings at pixels [P, 2]."""
        fill = rgb(color) if filled else None
        outline = rgb(edge) if edge is not None else None
        for x, y in (SCALE * centres).tolist():
            r = SCALE * radius
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill, outline, width=SCALE if not filled else 1)

    def line(self, points: Tensor, color: Color, *, width: float = 1.0) -> None:
        """Draw a line through pixels [P, 2]."""
        flat = (SCALE * points).flatten().tolist()
        self.draw.line(flat, rgb(color), max(1, round(SCALE * width)))

    def polygon(self, corners: Tensor, color: Color) -> None:
        """Fill the polygon through pixels [P, 2]."""
        self.draw.polygon((SCALE * corners).flatten().tolist(), rgb(color))

    def frame(self, box: Box) -> None:
        left, top, right, bottom = (SCALE * edge for edge in box)
        self.draw.rectangle((left, top, right - 1, bottom - 1), None, rgb(GREY), width=SCALE)

    def pixels(self) -> Tensor:
        """Return the sheet as [H, W, 3] uint8."""
        return torch.from_numpy(np.array(self.image.reduce(SCALE)))


def encode_png(pixels: Tensor) -> bytes:
    """Return pixels [H, W, 3] uint8 as a PNG; the compression is the one that costs least."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.cpu().numpy()).save(buffer, "png", compress_level=3)
    return buffer.getvalue()


def rgb(color: Sequence[float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in color)
    return red, green, blue


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers in [low, high]: multiples of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(-1.2, 1.1)
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return Matplotlib's font, so that all figures have one; finding it does not import Matplotlib."""
    found = find_spec("matplotlib")
    assert found is not None, "gaplab requires Matplotlib"
    assert found.origin is not None
    return ImageFont.truetype(str(Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"), size)
