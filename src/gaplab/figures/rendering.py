"""Figures without a window or global state: making, rasterising and saving them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gaplab.storage.atomic import replacing


def new_figure(
    width: float, height: float, dpi: int = 120, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """An empty figure, sizes in inches, on its own Agg canvas; pyplot would keep it alive, this does not."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save_as_each(figure: Figure, path: Path, kinds: Sequence[str]) -> None:
    """Write the figure as files of several kinds, the suffixes of ``path``; the first one decides the layout."""
    for kind in kinds:
        save_figure(figure, path.with_name(f"{path.name}.{kind}"))
        figure.set_layout_engine("none")  # what it has placed stays; placing takes as long as drawing


def save_figure(figure: Figure, path: Path, dpi: float | None = None) -> None:
    """Write the figure as the suffix of ``path`` says, ``.png``, ``.svg`` or ``.pdf``; equal figures give equal bytes.

    A reader sees the old file or the whole new one, never a part of it. ``dpi`` takes the place of the figure's own.
    """
    dated = {".pdf": "CreationDate", ".svg": "Date"}.get(path.suffix)
    own_canvas, own_dpi = figure.canvas, figure.dpi
    figure.set_dpi(dpi or own_dpi)
    try:
        with replacing(path, durable=False) as temporary, rc_context({"svg.hashsalt": path.stem}):
            _print(figure, temporary, path.suffix, {dated: None} if dated else None)
    finally:
        figure.set_canvas(own_canvas)
        figure.set_dpi(own_dpi)


def _print(figure: Figure, path: Path, suffix: str, metadata: dict[str, Any] | None) -> None:
    """Draw the figure into a file; ``figure.savefig`` would draw it once more before, to no end."""
    if suffix == ".svg":
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        FigureCanvasSVG(figure).print_svg(path, metadata=metadata)
    elif suffix == ".pdf":
        from matplotlib.backends.backend_pdf import FigureCanvasPdf

        FigureCanvasPdf(figure).print_pdf(path, metadata=metadata)
    elif suffix == ".png":
        FigureCanvasAgg(figure).print_png(path, metadata=metadata)
    else:
        raise ValueError(f"figures are written as .png, .svg or .pdf, but got {suffix!r}.")
