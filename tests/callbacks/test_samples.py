"""Pictures of samples: where points land, what the field's colours mean, when frames are drawn."""

import io
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageSequence

from gaplab.config.compose import compose_config
from gaplab.errors import Preempted
from gaplab.figures.canvas import encode_png
from gaplab.figures.decision_regions import window
from gaplab.figures.samples import (
    BOXES,
    HEIGHT,
    MARGIN,
    WIDTH,
    draw_samples,
    encode_animation,
    field_shades,
)
from gaplab.runs.resume import plan_new
from gaplab.train import run_one, run_planned
from quick_runs import QUICK_GAN
from running import points


def test_field_is_blue_for_real_and_red_for_generated() -> None:
    points = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    shades = field_shades(lambda x: 5 * x[:, 0] + 7, points, window(points), 10)
    left, right = shades[5, 0], shades[5, -1]
    assert left[0] > left[2], "low scores are red"
    assert right[2] > right[0], "high scores are blue"
    flat = field_shades(lambda x: torch.full((len(x),), 3.0), points, window(points), 10)
    assert torch.equal(flat, torch.ones(10, 10, 3)), "white where the discriminator cannot tell"


def test_points_are_drawn_in_their_panel() -> None:
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    fake = torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    picture = draw_samples(real, fake, lambda x: torch.zeros(len(x)))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    left, right = BOXES
    row = (left[1] + left[3]) // 2

    def darkest(box: tuple[int, int, int, int]) -> int:
        column = (box[0] + box[2]) // 2
        return int(picture[row - 3 : row + 4, column - 3 : column + 4].min())

    assert darkest(left) == 255, "no true point in the middle"
    assert darkest(right) < 100, "the generated point"
    low, high = window(real, MARGIN)[:2]
    assert low < -1 < 1 < high


def test_animation_has_a_frame_a_picture_and_rests_on_the_last() -> None:
    frames = [encode_png(torch.full((6, 8, 3), shade, dtype=torch.uint8)) for shade in (0, 120, 250)]
    animation = Image.open(io.BytesIO(encode_animation(frames)))
    durations = [frame.info["duration"] for frame in ImageSequence.Iterator(animation)]
    assert durations == [150, 150, 1500]
    assert animation.info["loop"] == 0


def test_run_leaves_pictures_frames_and_animation(tmp_path: Path) -> None:
    words = ["logging.pictures=true", "task.label_embedding=2", f"run.root={tmp_path}"]
    run_one(compose_config([*QUICK_GAN, *words]), tmp_path / "run")
    figures = tmp_path / "run" / "figures"
    frames = sorted(int(frame.stem) for frame in (figures / "samples").glob("*.png"))
    assert frames == [0, 6, 12], "one at the start and one a block of steps"
    assert (figures / "samples.png").read_bytes() == (figures / "samples" / "000000012.png").read_bytes()
    with Image.open(figures / "samples.gif") as animation:
        assert animation.n_frames == 3  # type: ignore[attr-defined]


def test_a_run_that_is_stopped_before_its_first_step_shows_each_picture_once(
    tmp_path: Path, stop_at: Any
) -> None:
    composed = compose_config([*QUICK_GAN, "logging.pictures=true", f"run.root={tmp_path}"])
    run_one(composed, tmp_path / "whole")
    stop_at(0)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    stop_at(None)
    run_planned(plan_new(composed, tmp_path / "parts"))
    assert points(tmp_path / "parts").keys() == points(tmp_path / "whole").keys()


def test_a_picture_that_cannot_be_drawn_leaves_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*arguments: Any, **named: Any) -> None:
        raise RuntimeError("no plane")

    monkeypatch.setattr("gaplab.figures.samples.draw_samples", fails)
    with caplog.at_level(logging.WARNING, logger="gaplab"):
        run_one(
            compose_config([*QUICK_GAN, "logging.pictures=true", "trainer.max_steps=3"]), tmp_path / "run"
        )
    assert "The picture samples could not be drawn (RuntimeError: no plane); the run goes on" in caplog.text
    assert (tmp_path / "run" / "result.json").is_file()
