"""The Davies-Bouldin index against scikit-learn's, and which layer it is taken in."""

import pytest
import torch
from sklearn.metrics import davies_bouldin_score
from torch import nn

from gaplab.metrics.capacity.clusters import davies_bouldin_index, first_representation
from gaplab.networks import MLP


def test_the_index_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(50, 7, dtype=torch.float64, generator=generator)
    labels = torch.randint(4, (50,), generator=generator)
    features[labels == 1] += 3
    expected = davies_bouldin_score(features.numpy(), labels.numpy())
    assert davies_bouldin_index(features, labels, 4).item() == pytest.approx(expected)
    assert davies_bouldin_index(features, labels, 6).item() == pytest.approx(expected), "empty classes"


def test_two_pairs_of_points_by_hand() -> None:
    features = torch.tensor([[0.0], [2.0], [10.0], [14.0]])
    labels = torch.tensor([0, 0, 1, 1])
    assert davies_bouldin_index(features, labels, 2).item() == pytest.approx((1 + 2) / 11)
    assert davies_bouldin_index(features, 0 * labels, 2).item() == 0, "one class"
    assert davies_bouldin_index(features[[0, 3, 0, 3]], labels, 2).isinf(), "the same centroid twice"


@pytest.mark.parametrize("block", ["plain", "residual", "highway", "inception", "glu"])
def test_the_first_hidden_layer_of_every_block(block: str) -> None:
    generator = torch.Generator().manual_seed(0)
    network = MLP(12, 3, [6, 5], block=block, generator=generator, point_ndim=3)
    points = torch.randn(9, 3, 2, 2, generator=generator)
    features = first_representation(network, points)(dict(network.named_parameters()), points)
    if block == "inception":  # its branches of two layers begin with one that has seen no other
        assert features.shape == (9, 2)
    elif block == "residual":
        assert torch.equal(features, network.hidden[0].inner(points.flatten(1)).relu())
    else:
        assert torch.equal(features, network.hidden[0](points.flatten(1)))


def test_images_after_pooling_and_a_linear_network() -> None:
    torch.manual_seed(0)
    convolutional = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    points = torch.randn(4, 1, 6, 6)
    features = first_representation(convolutional, points)(dict(convolutional.named_parameters()), points)
    assert torch.equal(features, convolutional[:4](points))
    linear = nn.Linear(2, 3)
    points = torch.randn(4, 2)
    assert torch.equal(
        first_representation(linear, points)(dict(linear.named_parameters()), points), linear(points)
    )
