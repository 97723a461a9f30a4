"""What a stack computes in ways of its own: hits, and the loss of labels that are classes."""

import pytest
import torch

from gaplab.losses.classification import cross_entropy
from gaplab.stacked.classification_fn import cross_entropy_of_classes, is_first_maximum


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_classes", [1, 2, 3, 20])
def test_a_hit_is_what_argmax_says_and_of_equal_logits_the_first(
    dtype: torch.dtype, num_classes: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(-2, 3, (5_000, num_classes), generator=generator).to(dtype)  # many are equal
    labels = torch.randint(num_classes, (5_000,), generator=generator)
    assert torch.equal(is_first_maximum(logits, labels), logits.argmax(1) == labels)


def test_infinite_logits_count_and_what_is_no_number_is_no_hit() -> None:
    inf, nan = torch.inf, torch.nan
    logits = torch.tensor([[-inf, inf], [inf, inf], [-inf, -inf], [nan, 1.0], [1.0, nan]])
    assert is_first_maximum(logits, torch.tensor([1, 0, 0, 1, 0])).tolist() == [True] * 3 + [False] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_and_its_gradient_are_torchs_in_every_bit(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (20 * torch.randn(1_000, 5, generator=generator, dtype=dtype)).requires_grad_()
    labels = torch.randint(5, (1_000,), generator=generator)
    weights = torch.rand(1_000, generator=generator, dtype=dtype)
    expected, found = cross_entropy(logits, labels), cross_entropy_of_classes(logits, labels)
    assert torch.equal(found, expected)
    of_both = [torch.autograd.grad((loss * weights).sum(), logits)[0] for loss in (expected, found)]
    assert torch.equal(*of_both)
