import pytest
import torch
from torch import Tensor

from gaplab.figures.decision_regions import (
    BOX,
    HEIGHT,
    WIDTH,
    boundary_pixels,
    draw_confidence,
    draw_decision_regions,
    draw_mistakes,
    probability_map,
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


def test_boundary_pixels_lie_where_the_winner_changes() -> None:
    winners = torch.tensor([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    assert boundary_pixels(winners).tolist() == [
        [False, True, False],
        [True, True, True],
        [False, False, False],
    ]


def to_pixel(x: float, y: float, extent: tuple[float, float, float, float]) -> tuple[int, int]:
    """Row and column of a data point in the picture."""
    left, top, right, bottom = BOX
    column = left + (x - extent[0]) / (extent[1] - extent[0]) * (right - left)
    row = bottom - (y - extent[2]) / (extent[3] - extent[2]) * (bottom - top)
    return int(row), int(column)


def test_picture_shows_regions_boundary_points_and_rings() -> None:
    extent = (-2.0, 2.0, -2.0, 2.0)
    picture = draw_decision_regions(right_half_plane, POINTS, LABELS, title="half plane", extent=extent)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == torch.uint8
    colors = torch.tensor(class_colors(2))
    for corner, c in (((-1.8, 1.8), 0), ((1.8, -1.8), 1)):
        pixel = picture[to_pixel(*corner, extent)].float()
        torch.testing.assert_close(pixel, 255 * (1 + colors[c]) / 2, atol=1.0, rtol=0)
    row, column = to_pixel(0.0, 1.5, extent)
    assert picture[row, column - 2 : column + 3].float().mean(dim=1).min() < 130  # the dark boundary
    for (x, y), c in zip(POINTS.tolist(), LABELS.tolist(), strict=True):
        pixel = picture[to_pixel(x, y, extent)].float()
        torch.testing.assert_close(pixel, 255 * 0.75 * colors[c], atol=2.0, rtol=0)
    ring = picture[to_pixel(-0.5, -0.5, extent)[0], :].float().mean(dim=1)
    centre = to_pixel(-0.5, -0.5, extent)[1]
    assert ring[centre - 8 : centre - 2].min() < 80  # the black ring around the misclassified point
    right_point = picture[to_pixel(1.0, 0.0, extent)[0]].float().mean(dim=1)
    centre = to_pixel(1.0, 0.0, extent)[1]
    assert right_point[centre + 6 : centre + 9].min() > 80  # none around a correct one


def test_points_outside_the_window_are_not_drawn() -> None:
    far = torch.tensor([[5.0, 0.0], [0.0, -5.0]])
    labels = torch.tensor([0, 0])
    extent = (-2.0, 2.0, -2.0, 2.0)
    left, top, right, bottom = BOX
    empty = draw_decision_regions(right_half_plane, far[:0], labels[:0], extent=extent)
    full = draw_decision_regions(right_half_plane, far, labels, extent=extent)
    assert torch.equal(empty[top:bottom, left:right], full[top:bottom, left:right])


def test_a_diverged_network_is_drawn_grey() -> None:
    def diverged(points: Tensor) -> Tensor:
        return torch.full((len(points), 3), torch.nan)

    extent = (-2.0, 2.0, -2.0, 2.0)
    picture = draw_decision_regions(diverged, POINTS, torch.tensor([2, 2, 2, 2]), extent=extent)
    assert picture[to_pixel(-1.8, 1.8, extent)].tolist() == [128, 128, 128]
    draw_confidence(diverged, POINTS)
    draw_mistakes(diverged, POINTS, LABELS, 4, extent=extent)


def test_mistakes_are_drawn_in_the_colour_of_their_class() -> None:
    extent = (-2.0, 2.0, -2.0, 2.0)
    picture = draw_mistakes(right_half_plane, POINTS[3:], LABELS[3:], 4, extent=extent)
    colors = torch.tensor(class_colors(2))
    wrong = picture[to_pixel(-0.5, -0.5, extent)].float()
    torch.testing.assert_close(wrong, 255 * 0.75 * colors[1], atol=2.0, rtol=0)
    region = picture[to_pixel(1.0, 0.0, extent)].float()
    torch.testing.assert_close(region, 255 * (1 - 0.25 * (1 - colors[1])), atol=1.0, rtol=0)


def test_drawing_leaves_no_gradient_on_a_trainable_model() -> None:
    weight = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    draw_decision_regions(lambda points: (points @ weight.T).softmax(1), POINTS, LABELS)
    assert weight.grad is None


def test_confidence_is_brightest_where_the_network_is_certain() -> None:
    def sure_on_the_right(points: Tensor) -> Tensor:
        p = 0.5 + 0.5 * (points[:, :1] > 0)
        return torch.cat((p, 1 - p), dim=1)

    picture = draw_confidence(sure_on_the_right, POINTS)
    left, top, right, bottom = BOX
    middle = (top + bottom) // 2
    assert picture[middle, right - 20].tolist() == [253, 231, 37]  # the bright end of viridis
    assert picture[middle, left + 20].tolist() == [68, 1, 84]  # the dark end, at chance


@pytest.mark.parametrize("num_classes", [2, 7, 12])
def test_every_class_has_its_own_color(num_classes: int) -> None:
    assert len(set(class_colors(num_classes))) == num_classes
