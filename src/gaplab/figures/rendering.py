"""Figures without a window or global state: making, rasterising and saving them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

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
    kind = path.suffix.removeprefix(".")
    dated = {"pdf": "CreationDate", "svg": "Date"}.get(kind)
    with replacing(path, durable=False) as temporary, rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(temporary, format=kind, dpi=dpi or "figure", metadata={dated: None} if dated else None)
