"""Errors, gap and bounds on one axis."""

import pytest

from gaplab.figures.gap_and_bounds import Mark, draw_gap_and_bounds
from gaplab.figures.palette import TEST, TRAIN


def test_every_mark_stands_at_its_value_and_vacuous_bounds_are_hollow() -> None:
    marks = [
        Mark("training error", 0.0, TRAIN),
        Mark("test error", 0.1, TEST, 0.02),
        Mark("gap", 0.1, "black", 0.02),
        Mark("finite precision", 4.7, vacuous=True),
    ]
    (axes,) = draw_gap_and_bounds(marks, guessing=0.5).axes
    assert axes.get_xscale() == "log"
    lines = axes.lines[:8]
    assert list(lines[2].get_xdata()) == pytest.approx([0.08, 0.12])
    assert [line.get_xdata()[0] for line in lines[3::2]] == [0.1, 0.1, 4.7]
    assert lines[1].get_xdata()[0] > axes.get_xlim()[0], "an error of zero is at the edge, not lost"
    faces = [line.get_markerfacecolor() for line in lines[1::2]]
    assert faces == ["white", TEST, "black", "white"]
    assert [line.get_color() for line in lines[1:4:2]] == [TRAIN, TEST]
    assert axes.lines[8].get_xdata()[0] == 0.5
    assert [text.get_text() for text in axes.texts] == ["0", "0.1", "0.1", "4.7 (vacuous)", "guessing"]
