"""Rejection sampling against laws whose densities are known."""

import math

import pytest
import torch
from torch import Tensor

from gaplab.tasks.gan_rejection import acceptance_of, reject_samples, score_caps


def test_a_wide_normal_becomes_a_narrow_one() -> None:
    """q = N(0, 1), p = N(0, 1/4): the largest ratio is 2, at 0, so that half of the samples are kept."""
    draws = torch.Generator().manual_seed(0)

    def log_ratio(x: Tensor) -> Tensor:
        return (math.log(2) - 1.5 * x.double().square())[:, 0]

    def acceptance(points: Tensor, rows: Tensor) -> Tensor:
        return acceptance_of(log_ratio(points), torch.tensor(math.log(2), dtype=torch.float64))

    first = torch.randn(20_000, 1, generator=draws)
    kept, share = reject_samples(
        first, acceptance, lambda rows: torch.randn(len(rows), 1, generator=draws), draws
    )
    assert share == pytest.approx(0.5, abs=0.01)
    assert float(kept.std()) == pytest.approx(0.5, abs=0.01)
    assert float(kept.mean()) == pytest.approx(0, abs=0.02)
    assert float(kept.abs().double().pow(4).mean()) == pytest.approx(3 / 16, rel=0.1)


def test_rejected_rows_are_drawn_again_for_themselves() -> None:
    asked: list[Tensor] = []

    def redraw(rows: Tensor) -> Tensor:
        asked.append(rows)
        return rows[:, None] + 0.5

    def acceptance(points: Tensor, rows: Tensor) -> Tensor:
        return (points[:, 0] % 1 == 0.5).double()

    kept, share = reject_samples(
        torch.tensor([[0.5], [1.0], [2.5], [3.0]]), acceptance, redraw, torch.Generator()
    )
    assert kept[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert [rows.tolist() for rows in asked] == [[1, 3]]
    assert share == pytest.approx(4 / 6)


def test_a_score_that_is_no_number_ends_the_search() -> None:
    nothing = torch.full((3,), math.nan, dtype=torch.float64)
    kept, share = reject_samples(
        torch.ones(3, 1), lambda points, rows: nothing[: len(rows)], lambda rows: 1 / 0, torch.Generator()
    )
    assert (kept.tolist(), share) == ([[1.0]] * 3, 1.0)


def test_caps_are_quantiles_of_each_class() -> None:
    scores, labels = torch.tensor([0.0, 1, 2, 10, 20]), torch.tensor([0, 0, 0, 2, 2])
    assert score_caps(scores, labels, 0.5, 3).tolist() == [1, 2, 15]
    assert acceptance_of(torch.tensor([1.0, 3.0]), torch.tensor(2.0)).tolist() == pytest.approx(
        [math.exp(-1), 1]
    )
