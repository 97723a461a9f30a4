"""The pictures of a run, the surface they are drawn on, and what they compute."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from gaplab.builders.load_run import load_run
from gaplab.figures.axes import Axes
from gaplab.figures.canvas import Canvas, encode_png, nice_ticks
from gaplab.figures.confusion import confusion_counts, draw_confusion_matrix
from gaplab.figures.landscape import draw_landscape, scaled_direction, slice_losses
from gaplab.figures.layers import Stage, draw_layers, project
from gaplab.figures.palette import ramp
from gaplab.runs.directory import read_json
from gaplab.storage.atomic import write_bytes
from gaplab.tasks.classifier_figures import classifier_figures
from gaplab.train import run_one
from quick_runs import DRAWN, Compose

NAMES = (
    "decision_regions_train",
    "decision_regions_test",
    "misclassified_test",
    "confidence",
    "confusion",
    "hidden_layers",
    "loss_landscape",
)
"""As they come in TensorBoard, which sorts by tag."""


def decoded(png: bytes) -> Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(png))))


def test_finished_run_has_the_same_pictures_in_tensorboard_and_in_its_folder(finished_run: Path) -> None:
    events = EventAccumulator(str(finished_run), {"images": 0}).Reload()
    assert {path.stem for path in (finished_run / "figures").glob("*.png")} == set(NAMES)
    tags = {f"pictures/{place}_{name}": name for place, name in enumerate(NAMES, start=1)}
    gaps = {"pictures/1_gap_loss", "pictures/1_gap_accuracy"}
    assert set(events.Tags()["images"]) == {*tags, *gaps}
    for tag, name in tags.items():
        last = events.Images(tag)[-1]
        assert last.step == 24
        assert last.encoded_image_string == (finished_run / "figures" / f"{name}.png").read_bytes()
    steps = [image.step for image in events.Images("pictures/1_decision_regions_train")]
    assert steps == [16, 24]  # every second measurement, and the end


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.noise_dimensions=2"],
        ["network.widths=[]"],
        ["network.widths=[6,1,5]", "network.dropout=0.5"],
        ["data=notebook_spirals", "data.num_points=60", "data.num_arms=2", "trainer.precision=64-true"],
    ],
    ids=lambda overrides: overrides[0],
)
def test_every_kind_of_run_can_be_drawn(quick: Compose, tmp_path: Path, overrides: list[str]) -> None:
    run_one(quick(*DRAWN, "trainer.max_steps=8", *overrides), tmp_path / "run")
    assert len(list((tmp_path / "run" / "figures").glob("*.png"))) == len(NAMES)


def test_a_picture_that_cannot_be_drawn_is_named_and_the_run_finishes(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> Tensor:
        raise RuntimeError("no such plane")

    monkeypatch.setattr("gaplab.tasks.classifier_figures.draw_layers", fail)
    with caplog.at_level(logging.WARNING, logger="gaplab"):
        run_one(quick(*DRAWN, "trainer.max_steps=8"), tmp_path / "run")
    assert {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")} == {*NAMES} - {
        "hidden_layers"
    }
    assert read_json(tmp_path / "run" / "run.json")["status"] == "finished"
    assert "The picture hidden_layers could not be drawn (RuntimeError: no such plane)" in caplog.text

    monkeypatch.setattr("gaplab.tasks.classifier_figures.predictor", fail)
    with caplog.at_level(logging.WARNING, logger="gaplab"):
        run_one(quick(*DRAWN, "trainer.max_steps=8"), tmp_path / "none")
    assert read_json(tmp_path / "none" / "run.json")["status"] == "finished"
    assert "The pictures could not be drawn" in caplog.text


def test_figures_leaves_weights_and_mode_alone(finished_run: Path) -> None:
    loaded = load_run(finished_run)
    before = {name: value.clone() for name, value in loaded.task.state_dict().items()}
    loaded.task.train()
    for draw in classifier_figures(loaded.task, loaded.data, 24).values():
        picture = draw()
        assert picture.dtype == torch.uint8
        assert picture.ndim == 3
    assert loaded.task.training
    for name, value in loaded.task.state_dict().items():
        assert torch.equal(value, before[name])


def test_canvas_is_white_and_keeps_what_is_pasted() -> None:
    canvas = Canvas(40, 30)
    canvas.paste(torch.tensor([[[1.0, 0.0, 0.0]]]), (10, 5, 20, 15))
    pixels = canvas.pixels()
    assert pixels.shape == (30, 40, 3)
    assert pixels[:5].min() == 255
    assert pixels[5:15, 10:20].reshape(-1, 3).unique(dim=0).tolist() == [[255, 0, 0]]
    assert torch.equal(decoded(encode_png(pixels)), pixels)


def test_points_and_ticks_lie_where_the_data_say() -> None:
    axes = Axes(Canvas(200, 200), (50, 20, 150, 120), (0.0, 10.0, -1.0, 1.0))
    pixels = axes.to_pixels(torch.tensor([[0.0, -1.0], [10.0, 1.0], [5.0, 0.0]]))
    assert pixels.tolist() == [[50.0, 120.0], [150.0, 20.0], [100.0, 70.0]]
    assert nice_ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert nice_ticks(0.013, 0.021) == pytest.approx([0.014, 0.016, 0.018, 0.02])


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_confusion_counts_are_those_of_a_loop() -> None:
    labels, predicted = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 2, 0, 2])
    counts = confusion_counts(predicted, labels, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    picture = draw_confusion_matrix(counts)
    assert picture[60, 90].tolist() != [255, 255, 255]  # half of class 0: blue
    assert picture[60, 300].tolist() == [255, 255, 255]  # none of class 0 taken for class 2: white


def test_direction_has_the_row_lengths_of_the_weights() -> None:
    parameters = {"weight": torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "bias": torch.tensor([1.0, -1.0])}
    direction = scaled_direction(parameters, torch.Generator().manual_seed(0))
    assert direction["weight"].norm(dim=1).tolist() == pytest.approx([5.0, 0.0])
    assert float(direction["bias"].norm()) == pytest.approx(2**0.5)


def test_slice_of_a_paraboloid_is_that_paraboloid() -> None:
    def loss(values: dict[str, Tensor]) -> Tensor:
        x, y = values["w"]
        return x**2 + 10 * y**2

    first, second = {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 1.0])}
    losses = slice_losses(loss, {"w": torch.zeros(2)}, first, second, resolution=3)
    assert losses.tolist() == [[11.0, 10.0, 11.0], [1.0, 0.0, 1.0], [11.0, 10.0, 11.0]]
    draw_landscape(losses)
    draw_landscape(torch.full((3, 3), torch.nan))


def test_projection_keeps_a_plane_that_lies_in_many_dimensions() -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    axes = torch.linalg.qr(torch.randn(6, 2, generator=generator, dtype=torch.float64)).Q
    stage = Stage((flat[:9] @ axes.T).view(3, 3, 6), flat @ axes.T)
    seen = project(stage)
    assert seen.share == pytest.approx(1.0)
    torch.testing.assert_close(torch.cdist(seen.points, seen.points), torch.cdist(flat, flat))
    torch.testing.assert_close(seen.grid.view(9, 2), seen.points[:9])


def test_a_single_point_can_be_projected() -> None:
    seen = project(Stage(torch.ones(2, 2, 4), torch.ones(1, 4)))
    assert seen.points.tolist() == [[0.0, 0.0]]
    assert seen.grid.shape == (2, 2, 2)


def test_layers_of_a_diverged_network_are_named_as_such() -> None:
    points = torch.full((4, 3), torch.nan)
    stages = {"hidden layer 1": Stage(torch.full((2, 2, 3), torch.nan), points)}
    draw_layers(stages, torch.tensor([0, 1, 0, 1]))


def test_ramp_runs_between_its_ends_and_nan_is_grey() -> None:
    colors = ramp(torch.tensor([0.0, 0.5, 1.0, torch.nan]), ("#000000", "#ffffff"))
    assert colors[:, 0].tolist() == [0.0, 0.5, 1.0, 0.5]
