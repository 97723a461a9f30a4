from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from gaplab.figures.curves import draw_gap_curves
from gaplab.figures.rendering import new_figure, save_figure


def test_saved_png_shows_the_same_pixels(tmp_path: Path) -> None:
    figure = new_figure(2.0, 1.0, layout=None)
    figure.add_axes((0.1, 0.1, 0.8, 0.8)).plot([0, 1], [0, 1])
    path = tmp_path / "new" / "line.png"
    save_figure(figure, path)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert np.array_equal((imread(path) * 255).round(), np.asarray(canvas.buffer_rgba()))
    assert [file.name for file in path.parent.iterdir()] == ["line.png"]


def test_a_failed_save_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    figure = new_figure(1.0, 1.0)

    def fail(file: object, **_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_gap_is_test_minus_train_and_the_scale_is_drawn_where_it_fits() -> None:
    splits, gap = {"train": [1.0, 0.5, 0.2], "test": [1.1, 0.8, 0.7]}, [0.1, 0.3, 0.5]
    figure = draw_gap_curves([0, 10, 20], splits, gap, [0.0, 0.1, 0.2], scale=0.9)
    upper, lower = figure.axes
    assert [line.get_label() for line in upper.lines] == ["train", "test"]
    _, line, scale = lower.lines
    assert list(line.get_ydata()) == gap
    (band,) = lower.collections
    assert band.get_paths()[0].get_extents().intervaly.tolist() == pytest.approx([0.1, 0.7])
    assert list(scale.get_ydata()) == [0.9, 0.9, 0.9]
    assert "heuristic scale" in scale.get_label()
    assert "bound" not in scale.get_label()


def test_a_scale_far_above_the_gap_is_only_named() -> None:
    splits = {"train": [1.0, 0.5], "val": [1.0, 0.6], "test": [1.1, 0.8]}
    figure = draw_gap_curves([0, 10], splits, [0.1, 0.3], scale=5.0)
    lower = figure.axes[1]
    assert len(lower.lines[2].get_ydata()) == 0
    assert lower.lines[2].get_label().endswith("= 5, heuristic scale (far above)")
    assert lower.get_ylim()[1] < 1
    assert len(figure.axes[0].lines) == 3
