"""Hits as the stack counts them: the label is the first of the largest logits."""

import pytest
import torch

from gaplab.stacked.classification_fn import is_first_maximum


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
