import math

import numpy as np
import pytest
import torch

from gaplab.metrics.gap import (
    ExampleMean,
    Mean,
    SplitScore,
    effective_parameters,
    gap_standard_error,
    generalization_gap,
    hoeffding_radius,
    sqrt_params_over_points,
)
from gaplab.metrics.scorecard import gap_table


def test_gap_is_positive_when_unseen_data_is_worse() -> None:
    assert generalization_gap(train=0.25, test=1.0) == 0.75
    assert generalization_gap(train=0.75, test=0.5, higher_is_better=True) == 0.25


def test_hoeffding_radius_inverts_the_tail_bound() -> None:
    for num_points, delta in [(3000, 0.05), (10_000, 0.05), (7, 0.5)]:
        radius = hoeffding_radius(num_points, delta)
        assert 2 * math.exp(-2 * num_points * radius**2) == pytest.approx(delta)
    assert hoeffding_radius(10_000) == pytest.approx(0.0136, abs=5e-5)


def test_hoeffding_radius_covers_a_coin() -> None:
    means = np.random.default_rng(0).binomial(200, 0.5, size=20_000) / 200
    assert np.mean(np.abs(means - 0.5) <= hoeffding_radius(200, 0.05)) >= 0.95


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0])
def test_hoeffding_radius_names_a_bad_delta(delta: float) -> None:
    with pytest.raises(ValueError, match=f"`delta`.*but got {delta}"):
        hoeffding_radius(10, delta)


def test_scale_and_effective_parameters_are_inverse() -> None:
    assert sqrt_params_over_points(603, 3000) == pytest.approx(0.44833, abs=1e-5)
    assert effective_parameters(sqrt_params_over_points(603, 3000), 3000) == pytest.approx(603)
    with pytest.raises(ValueError, match="at least 1, but got 0"):
        effective_parameters(0.1, 0)


def test_gap_standard_error_is_the_spread_of_repeated_gaps() -> None:
    random = np.random.default_rng(1)
    train = random.exponential(2.0, size=(20_000, 30)).mean(1)
    test = random.normal(0.0, 3.0, size=(20_000, 50)).mean(1)
    assert gap_standard_error(4.0, 30, 9.0, 50) == pytest.approx(np.std(test - train), rel=0.02)


def test_a_mean_over_examples_agrees_with_numpy_whatever_the_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(103, generator=generator)
    correct = torch.rand(103, generator=generator) < 0.7
    means = {"loss": ExampleMean(), "accuracy": ExampleMean()}
    for batch in (slice(0, 64), slice(64, 102), slice(102, 103)):
        means["loss"].update(losses[batch])
        means["accuracy"].update(correct[batch])
    loss, accuracy = means["loss"].compute(), means["accuracy"].compute()
    values = losses.double().numpy()
    assert loss.mean == pytest.approx(values.mean(), rel=1e-12)
    assert loss.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(103), rel=1e-9)
    assert loss.variance == pytest.approx(values.var(ddof=1), rel=1e-9)
    assert (accuracy.mean, accuracy.num_points) == (correct.sum().item() / 103, 103)
    score = SplitScore.of_means(loss, accuracy)
    sums = values.sum(), (values**2).sum(), int(correct.sum()), 103
    assert score == pytest.approx(SplitScore.of_sums(*sums), rel=1e-9)


def test_means_of_two_processes_add_up() -> None:
    losses = torch.arange(7.0)
    whole, first, second = ExampleMean(), ExampleMean(), ExampleMean()
    whole.update(losses)
    first.update(losses[:5])
    second.update(losses[5:])

    # What DDP does: gather each state, then apply its declared reduction.
    states = ("total", "square_total", "count")
    assert set(states) == set(first._reductions)
    for state in states:
        reduce = first._reductions[state]
        setattr(first, state, reduce(torch.stack([getattr(first, state), getattr(second, state)])))
    assert first.compute() == whole.compute()
    assert first.count.dtype == torch.int64


def test_a_mean_refuses_a_reduced_loss_and_an_empty_split() -> None:
    mean = ExampleMean()
    with pytest.raises(ValueError, match="reduction='none'"):
        mean.update(torch.tensor(0.5))
    mean.update(torch.empty(0))
    with pytest.raises(ValueError, match="at least 1, but got 0"):
        mean.compute()


def test_the_table_of_any_task_has_a_gap_a_quantity() -> None:
    """Against differences and standard errors written by hand; a metric of a whole split has no error."""
    scores = {
        "train": {"loss": Mean(1.0, 0.3, 10), "r2": Mean(0.9, None, 10), "loss/part": Mean(2.0, 0.1, 10)},
        "val": {"loss": Mean(1.5, 0.2, 20), "r2": Mean(0.7, None, 20), "loss/part": Mean(2.5, 0.1, 20)},
        "test": {"loss": Mean(1.25, 0.4, 40), "r2": Mean(0.5, None, 40), "loss/part": Mean(1.0, 0.1, 40)},
    }
    table = gap_table(scores, {"r2"}, penalty=0.5)
    assert (table["loss/val"], table["r2/test"]) == (1.5, 0.5)
    assert table["loss/train_penalized"] == 1.5
    assert table["gap/loss"] == 0.25
    assert table["gap/loss_error"] == pytest.approx(0.5)
    assert table["gap/r2"] == pytest.approx(0.4), "worse on test is positive"
    assert "gap/r2_error" not in table
    assert table["gap/loss_part"] == -1.0
    assert not [tag for tag in gap_table({"val": scores["val"]}) if tag.startswith("gap/")]


def test_losses_whose_squares_overflow_have_a_mean_and_no_error() -> None:
    score = SplitScore.of_sums(4e200, math.inf, 1, 4)
    assert (score.loss, score.accuracy) == (1e200, 0.25)
    assert math.isnan(score.loss_standard_error)
    assert Mean(0.0, 1e200, 4).variance == math.inf
    assert effective_parameters(1e200, 4) == math.inf
