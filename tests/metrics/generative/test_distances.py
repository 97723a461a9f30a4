import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from gaplab.metrics.generative import distances
from gaplab.metrics.generative.distances import NearestPoints, squared_distances


def normal(count, dimension=2, seed=0):
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dimension", [1, 2, 9])
@pytest.mark.parametrize("most", [0, 9])
def test_neighbours_by_a_tree_and_by_all_distances_equal_sklearn(dimension, most, monkeypatch):
    monkeypatch.setattr(distances, "MOST_TREE_DIMENSIONS", most)
    points, references = normal(40, dimension), normal(60, dimension, seed=1)
    search = NearestNeighbors(n_neighbors=7).fit(references.numpy())
    assert (
        NearestPoints(references).indices(points, 7).tolist() == search.kneighbors(points.numpy())[1].tolist()
    )


def test_distances_of_neighbours_are_those_of_all_points_to_the_last_digit():
    points, references = normal(300, 3), normal(500, 3, seed=1)
    references[:100] = points[:100]
    everything = torch.cat(list(squared_distances(points, references)))
    assert torch.equal(NearestPoints(references).squared(points, 6), everything.sort(dim=1).values[:, :6])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="at least 4 references, got 3"):
        NearestPoints(normal(3)).indices(normal(9), 4)
    with pytest.raises(ValueError, match=r"same dimension, got \[9, 2\] and \[9, 3\]"):
        NearestPoints(normal(9, 3)).indices(normal(9), 1)
