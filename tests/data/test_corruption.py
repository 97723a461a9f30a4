import pytest
import torch

from gaplab.data.corruption import append_noise_dimensions, flip_labels

LABELS = torch.arange(9000) % 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_exactly_the_share_is_wrong(share: float) -> None:
    original = LABELS.clone()
    flipped = flip_labels(LABELS, 3, share, generator=generator())
    assert int((flipped != LABELS).sum()) == round(share * 9000)
    assert torch.equal(LABELS, original)


def test_wrong_labels_are_uniform_over_the_other_classes() -> None:
    flipped = flip_labels(LABELS, 3, 1.0, generator=generator())
    counts = torch.zeros(3, 3).index_put((LABELS, flipped), torch.ones(9000), accumulate=True)
    assert counts.diagonal().sum() == 0
    off_diagonal = counts[~torch.eye(3, dtype=torch.bool)]
    assert (off_diagonal - 1500).abs().max() < 5 * 1500**0.5


def test_random_labels_are_independent_of_the_true_ones() -> None:
    flipped = flip_labels(LABELS, 3, 1.0, include_true=True, generator=generator())
    counts = torch.zeros(3, 3).index_put((LABELS, flipped), torch.ones(9000), accumulate=True)
    chi_square = float(((counts - 1000) ** 2 / 1000).sum())
    assert chi_square < 22.5  # 6 degrees of freedom (rows are fixed): p = 0.001


def test_a_larger_share_spoils_the_same_points_and_more() -> None:
    few = flip_labels(LABELS, 3, 0.2, generator=generator(1))
    many = flip_labels(LABELS, 3, 0.4, generator=generator(1))
    spoilt = few != LABELS
    assert torch.equal(many[spoilt], few[spoilt])


def test_noise_dimensions_follow_the_given_points() -> None:
    points = torch.rand(20_000, 2, generator=generator(1))
    longer = append_noise_dimensions(points, 3, 0.5, generator())
    assert longer.shape == (20_000, 5)
    assert longer.dtype == points.dtype
    assert torch.equal(longer[:, :2], points)
    torch.testing.assert_close(torch.cov(longer[:, 2:].T), 0.25 * torch.eye(3), atol=0.01, rtol=0)
    assert torch.equal(append_noise_dimensions(points, 0, 0.5, generator()), points)


def test_mistakes_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"share of flipped labels must lie between 0 and 1, but got 1\.5"):
        flip_labels(LABELS, 3, 1.5, generator=generator())
    with pytest.raises(ValueError, match="num_classes must be at least 2"):
        flip_labels(LABELS, 1, 0.5, generator=generator())
    with pytest.raises(ValueError, match="num_dimensions must not be negative"):
        append_noise_dimensions(torch.zeros(3, 2), -1, 1.0, generator())
