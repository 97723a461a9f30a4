import pytest
import torch
from matplotlib.collections import PathCollection
from torch import Tensor

from gaplab.figures.decision_regions import (
    draw_decision_regions,
    probability_map,
    raster_decision_regions,
    shade,
    window,
)
from gaplab.figures.palette import class_colors

POINTS = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [-0.5, -0.5]])
LABELS = torch.tensor([0, 1, 1, 1])  # the last one lies on the side of class 0


def right_half_plane(points: Tensor) -> Tensor:
    """Class 1 with certainty for x > 0, else class 0."""
    right = (points[:, 0] > 0).float()
    return torch.stack((1 - right, right), dim=1)


def test_window_is_a_square_around_the_points() -> None:
    left, right, bottom, top = window(POINTS)
    assert (left, right) == pytest.approx((-1.16, 1.16))
    assert top - bottom == pytest.approx(right - left)
    assert (top + bottom) / 2 == pytest.approx(0.0)
    assert window(torch.zeros(1, 2)) == (-1.0, 1.0, -1.0, 1.0)  # a single point still gets a window


def test_row_zero_of_the_map_is_the_top_and_column_zero_the_left() -> None:
    seen = probability_map(lambda points: points, (0.0, 4.0, 10.0, 14.0), 4, torch.device("cpu"))
    assert seen[0, 0].tolist() == [0.5, 13.5]
    assert seen[3, 0].tolist() == [0.5, 10.5]
    assert seen[0, 3].tolist() == [3.5, 13.5]


def test_shade_is_white_at_chance_and_deepens_with_confidence() -> None:
    colors = torch.tensor(class_colors(2))
    pixels = shade(torch.tensor([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]), colors)
    torch.testing.assert_close(pixels[0], torch.ones(3))
    assert (pixels.sum(dim=1).diff() < 0).all()
    torch.testing.assert_close(pixels[2], (1 + colors[0]) / 2)


def test_raster_shows_regions_points_and_mistakes() -> None:
    image = raster_decision_regions(right_half_plane, POINTS, LABELS, resolution=64, extent=(-2, 2, -2, 2))
    assert image.shape == (64, 64, 3)
    assert image.dtype == torch.uint8
    colors = torch.tensor(class_colors(2))
    for corner, c in ((image[0, 0], 0), (image[63, 63], 1)):
        torch.testing.assert_close(corner.float(), 255 * (1 + colors[c]) / 2, atol=0.51, rtol=0)
    black = (image == 0).all(dim=2).nonzero()
    # (-0.5, -0.5) lies at column 1.5 / 4 of the width and, counted from the top, at row 2.5 / 4
    assert black.tolist() == [[40, 24], [40, 25], [41, 24], [41, 25]]


def test_points_outside_the_window_are_not_drawn() -> None:
    far = torch.tensor([[5.0, 0.0], [0.0, -5.0]])
    extent = (-2.0, 2.0, -2.0, 2.0)
    image = raster_decision_regions(right_half_plane, far, torch.tensor([0, 0]), extent=extent)
    assert len(image.flatten(0, 1).unique(dim=0)) == 2  # the two regions and nothing else


def test_a_diverged_network_is_drawn_grey() -> None:
    def diverged(points: Tensor) -> Tensor:
        return torch.full((len(points), 3), torch.nan)

    image = raster_decision_regions(diverged, POINTS, torch.tensor([2, 2, 2, 2]))
    assert image[0, 0].tolist() == [128, 128, 128]
    draw_decision_regions(diverged, POINTS, LABELS, resolution=20)


def test_raster_leaves_no_gradient_and_no_nan_on_a_trainable_model() -> None:
    weight = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    image = raster_decision_regions(lambda points: (points @ weight.T).softmax(1), POINTS, LABELS)
    assert not image.requires_grad
    assert len(image.flatten(0, 1).unique(dim=0)) > 50  # shades, not a constant


def test_figure_rings_the_misclassified_points_and_counts_them() -> None:
    figure = draw_decision_regions(right_half_plane, POINTS, LABELS, title="half plane")
    (axes,) = figure.axes
    assert axes.get_title() == "half plane"
    assert axes.get_aspect() == 1.0
    scatters = [collection for collection in axes.collections if isinstance(collection, PathCollection)]
    by_label = {scatter.get_label(): scatter.get_offsets().tolist() for scatter in scatters}
    assert by_label["wrong: 1 of 4"] == [[-0.5, -0.5]]
    assert by_label["class 0"] == [[-1.0, 0.0]]
    assert len(by_label["class 1"]) == 3


def test_figure_draws_the_boundary_where_the_classes_tie() -> None:
    def smooth(points: Tensor) -> Tensor:
        return torch.stack((-points[:, 0], points[:, 0]), dim=1).softmax(1)

    figure = draw_decision_regions(smooth, POINTS, LABELS, extent=(-2, 2, -2, 2))
    contours = [c for c in figure.axes[0].collections if not isinstance(c, PathCollection)]
    lines = torch.cat([torch.tensor(path.vertices) for c in contours for path in c.get_paths()])
    assert len(lines) > 100
    assert lines[:, 0].abs().max() < 1e-3


@pytest.mark.parametrize("num_classes", [2, 7, 12])
def test_every_class_has_its_own_color(num_classes: int) -> None:
    assert len(set(class_colors(num_classes))) == num_classes
