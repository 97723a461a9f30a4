import pytest
import torch
from torch.func import grad, vmap

from gaplab.networks.conditioning import pack_samples, with_label_embedding


def test_packing_puts_neighbours_side_by_side():
    points = torch.arange(12.0).reshape(6, 2)
    assert torch.equal(pack_samples(points, 1), points)
    assert pack_samples(points, 3).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


@pytest.mark.parametrize(("pack", "message"), [(4, "6 points do not make groups of 4"), (0, "at least 1")])
def test_impossible_packs_are_named(pack, message):
    with pytest.raises(ValueError, match=message):
        pack_samples(torch.zeros(6, 2), pack)


def test_inputs_are_followed_by_their_label_row():
    embedding = torch.tensor([[10.0, 11.0], [20.0, 21.0]], requires_grad=True)
    joined = with_label_embedding(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 0, 1]), embedding)
    assert joined.tolist() == [[1, 20, 21], [2, 10, 11], [3, 20, 21]]
    joined.sum().backward()
    assert embedding.grad.tolist() == [[1, 1], [2, 2]]


def test_label_rows_differ_per_model_under_vmap():
    inputs, labels = torch.zeros(3, 4, 1), torch.tensor([0, 1, 1, 0]).expand(3, 4)
    embedding = torch.randn(3, 2, 5)
    together = vmap(with_label_embedding)(inputs, labels, embedding)
    assert torch.allclose(together[2, 1, 1:], embedding[2, 1])


def test_gradients_of_label_rows_differ_per_model_under_vmap():
    inputs, labels = torch.zeros(2, 3, 1), torch.tensor([[0, 1, 1], [0, 0, 0]])
    gradients = vmap(grad(lambda e, x, y: with_label_embedding(x, y, e).sum()))(
        torch.zeros(2, 2, 1), inputs, labels
    )
    assert gradients.tolist() == [[[1], [2]], [[3], [0]]]


def test_labels_must_match_the_inputs():
    with pytest.raises(ValueError, match=r"shape \[3\]; got \[2\]"):
        with_label_embedding(torch.zeros(3, 1), torch.zeros(2, dtype=torch.int64), torch.eye(2))
