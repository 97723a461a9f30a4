import math

import pytest
import torch
from scipy.stats import norm
from sklearn.neighbors import KNeighborsClassifier

from gaplab.metrics.generative.ceilings import accuracy_ceiling
from gaplab.metrics.generative.two_sample import (
    accuracy_p_value,
    detection_power,
    neighbour_judge,
    network_judge,
    two_sample_test,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(count, seed=0):
    return torch.randn(count, 2, generator=generator(seed))


def test_p_value_and_power_equal_scipy():
    for accuracy in (0.4, 0.5, 0.52, 0.6):
        expected = norm.sf((accuracy - 0.5) * 2 * math.sqrt(900))
        assert accuracy_p_value(accuracy, 900) == pytest.approx(expected, rel=1e-10)
    for accuracy in (0.5, 0.53, 0.6):
        excess = accuracy - 0.5
        z = (excess * 30 - norm.ppf(0.95) / 2) / math.sqrt(0.25 - excess**2)
        assert detection_power(accuracy, 900) == pytest.approx(norm.cdf(z), rel=1e-9)
    assert detection_power(0.5, 900, level=0.05) == pytest.approx(0.05)


def test_neighbour_judge_equals_sklearn():
    train, test = normal(400), normal(100, seed=1)
    labels = (train[:, 0] + 0.5 * normal(400, seed=2)[:, 0] > 0).long()
    reference = KNeighborsClassifier(n_neighbors=19).fit(train.numpy(), labels.numpy())
    ours = neighbour_judge(train, labels, test, generator())
    assert ours.tolist() == reference.predict(test.numpy()).tolist()


@pytest.mark.parametrize("judge", [neighbour_judge, network_judge])
def test_far_apart_laws_are_told_apart_and_labels_do_not_leak(judge):
    apart = two_sample_test(normal(200), normal(200, seed=1) + 10, generator=generator(), judge=judge)
    assert apart.accuracy == 1.0
    assert apart.p_value < 1e-10
    assert apart.num_test == 200
    same = two_sample_test(normal(200), normal(200, seed=1), generator=generator(), judge=judge)
    assert abs(same.accuracy - 0.5) < 4 * accuracy_ceiling(200).std


def test_equal_laws_are_rejected_at_the_level():
    """200 tests of equal laws at 5 %: 10 ± 3.1 rejections."""
    source = generator(3)
    rejected = 0
    accuracies = []
    for _ in range(200):
        left, right = torch.randn(2, 200, 2, generator=source)
        result = two_sample_test(left, right, generator=source)
        rejected += result.p_value < 0.05
        accuracies.append(result.accuracy)
    assert 1 <= rejected <= 22
    ceiling = accuracy_ceiling(200)
    values = torch.tensor(accuracies)
    assert values.mean().item() == pytest.approx(ceiling.mean, abs=4 * ceiling.std / math.sqrt(200))
    assert values.std().item() == pytest.approx(ceiling.std, rel=0.3)


def test_network_judge_follows_a_curved_difference():
    """Rings of radius 1 and 1.5 have equal means: no linear judge separates them."""
    angle = 2 * math.pi * torch.rand(600, generator=generator())
    ring = torch.stack([angle.cos(), angle.sin()], dim=1)
    result = two_sample_test(ring[:300], 1.5 * ring[300:], generator=generator(), judge=network_judge)
    assert result.accuracy > 0.97


def test_copies_of_the_real_points_fool_no_p_value_upwards():
    """The twins of the test points carry the opposite label in training: accuracy falls below ½."""
    points = normal(300)
    result = two_sample_test(points, points.clone(), generator=generator())
    assert result.p_value > 0.5


def test_judge_runs_where_gradients_are_off():
    with torch.no_grad():
        result = two_sample_test(normal(50), normal(50, 1) + 9, generator=generator(), judge=network_judge)
    assert result.accuracy == 1.0


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"as many real as generated.*\[20, 2\] and \[21, 2\]"):
        two_sample_test(normal(20), normal(21), generator=generator())
    with pytest.raises(ValueError, match="at least 10 points of each kind, got 9"):
        two_sample_test(normal(9), normal(9), generator=generator())
    with pytest.raises(ValueError, match="NaN or infinite points; the generator has diverged"):
        two_sample_test(normal(20), normal(20) * math.nan, generator=generator())
    with pytest.raises(ValueError, match=r"true_accuracy must lie in \[0.5, 1\), got 1.0"):
        detection_power(1.0, 10)
