import math
from functools import partial

import pytest
import torch
from scipy.stats import binom, norm
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gaplab.metrics.generative.two_sample import (
    detection_power,
    kernel_judge,
    largest_accuracies,
    neighbour_judges,
    tree_judge,
    two_sample_test,
)
from perfect_sampler import accuracy_ceiling


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(count, seed=0):
    return torch.randn(count, 2, generator=generator(seed))


def nobody(*_):
    return {}


def alone(judge):
    return lambda *known: {"it": judge(*known)}, nobody


def root_judge(*known):
    return neighbour_judges(*known)["neighbours"]


def test_power_equals_scipy():
    for accuracy in (0.5, 0.53, 0.6):
        excess = accuracy - 0.5
        z = (excess * 30 - norm.ppf(0.95) / 2) / math.sqrt(0.25 - excess**2)
        assert detection_power(accuracy, 900) == pytest.approx(norm.cdf(z), rel=1e-9)
    assert detection_power(0.5, 900, level=0.05) == pytest.approx(0.05)


def p_value(answers, labels):
    observed, *permuted = largest_accuracies(answers, labels, generator()).tolist()
    assert len(permuted) == 1000
    return (1 + sum(value >= observed for value in permuted)) / 1001


def test_p_value_of_the_largest_of_independent_judges_equals_the_binomial_law():
    """P(max of 3 accuracies >= a) = 1 - F(a)^3; of three copies of one judge it stays 1 - F(a)."""
    labels = torch.randint(2, (400,), generator=generator(1))
    answers = torch.randint(2, (3, 400), generator=generator(2))
    right = (answers == labels).sum(dim=1)
    tail = binom.sf(int(right.max()) - 1, 400, 0.5)
    assert p_value(answers, labels) == pytest.approx(1 - (1 - tail) ** 3, abs=0.06)
    copies = answers[right.argmax()].expand(3, -1)
    assert p_value(copies, labels) == pytest.approx(tail, abs=0.06)


def test_expected_largest_accuracy_of_independent_judges_equals_the_binomial_law():
    """E max of J accuracies is the sum of 1 - F(k)^J over the counts k below n, over n."""
    labels = torch.randint(2, (400,), generator=generator(1))
    for number in (1, 3):
        answers = torch.randint(2, (number, 400), generator=generator(2))
        expected = sum(1 - binom.cdf(k, 400, 0.5) ** number for k in range(400)) / 400
        permuted = largest_accuracies(answers, labels, generator())[1:]
        assert permuted.mean().item() == pytest.approx(expected, abs=0.003)


def test_what_equal_laws_are_expected_to_get_is_what_they_get_on_average():
    """All judges on 30 pairs of draws of a ring: the largest accuracy, its p-value and each accuracy."""
    source = generator(4)
    found = []
    for _ in range(30):
        angles = 2 * math.pi * torch.randint(8, (2, 150), generator=source) / 8
        centers = torch.stack([angles.cos(), angles.sin()], dim=2)
        left, right = centers + 0.1 * torch.randn(2, 150, 2, generator=source)
        result = two_sample_test(left, right, generator=source)
        values = result.accuracy, result.p_value, *result.accuracies.values()
        expected = result.expected_accuracy, result.expected_p_value, *result.expected_accuracies.values()
        found.append([*values, *expected])
    values, expected = torch.tensor(found, dtype=torch.float64).chunk(2, dim=1)
    errors = (values - expected).std(dim=0) / 30**0.5
    assert ((values - expected).mean(dim=0).abs() < 3 * errors).all()
    assert expected[:, 0].mean() > 0.52  # above one half, which the values then are, too
    assert expected[:, 0].std() < 0.4 * values[:, 0].std()
    # Judges lean to the label that their half has more of, and the other half fewer.
    assert ((expected[:, 2:].mean(dim=0) > 0.48) & (expected[:, 2:].mean(dim=0) < 0.502)).all()


def test_expected_accuracy_of_one_judge_is_the_mean_over_permutations():
    """More answers, and more labels, of one kind: the mean is off one half."""
    biased = alone(lambda train, labels, test: (test[:, 0] > -1).long())
    pairs = []
    for seed in range(30):
        left, right = normal(40, seed=2 * seed), normal(40, seed=2 * seed + 1)
        result = two_sample_test(left, right, generator=generator(seed), judges=biased)
        pairs.append((result.expected_accuracies["it"], result.expected_accuracy))
    exact, permuted = torch.tensor(pairs).unbind(dim=1)
    assert (exact - permuted).abs().max() < 4 * 0.5 / 40**0.5 / 1000**0.5
    assert exact.std() > 0.02


def test_judges_that_agree_are_expected_to_get_less():
    """Why a ceiling is not taken from the judging of samples with a flaw that all judges see."""
    real, fake = normal(300), normal(300, seed=1)
    equal = two_sample_test(real, fake, generator=generator())
    apart = two_sample_test(real, fake + 20, generator=generator())
    assert apart.expected_accuracy == pytest.approx(0.5, abs=0.003)
    assert equal.expected_accuracy > 0.51


def test_neighbour_judge_equals_sklearn():
    train, test = normal(400), normal(100, seed=1)
    labels = (train[:, 0] + 0.5 * normal(400, seed=2)[:, 0] > 0).long()
    reference = KNeighborsClassifier(n_neighbors=19).fit(train.numpy(), labels.numpy())
    ours = root_judge(train, labels, test)
    assert ours.tolist() == reference.predict(test.numpy()).tolist()


@pytest.mark.parametrize("judge", [root_judge, kernel_judge, tree_judge])
def test_far_apart_laws_are_told_apart_and_labels_do_not_leak(judge):
    panel = alone(judge)
    apart = two_sample_test(normal(200), normal(200, seed=1) + 10, generator=generator(), judges=panel)
    assert apart.accuracy == 1.0
    assert apart.p_value == pytest.approx(1 / 1001)
    assert apart.num_test == 200
    same = two_sample_test(normal(200), normal(200, seed=1), generator=generator(), judges=panel)
    assert abs(same.accuracy - 0.5) < 4 * accuracy_ceiling(200).std


def test_equal_laws_are_rejected_at_the_level_by_the_largest_of_several():
    """150 tests of equal laws at 5 %: 7.5 ± 2.7 rejections, although the largest accuracy is above one half."""
    source = generator(3)
    rejected, accuracies = 0, []
    panel = partial(neighbour_judges, numbers={str(k): k for k in (1, 5, 15)}), nobody
    for _ in range(150):
        left, right = torch.randn(2, 150, 2, generator=source)
        result = two_sample_test(left, right, generator=source, judges=panel)
        rejected += result.p_value <= 0.05
        accuracies.append(result.accuracy)
    assert 1 <= rejected <= 16
    assert sum(accuracies) / 150 > accuracy_ceiling(150).mean + 0.01


def test_each_judge_has_its_accuracy_and_the_largest_counts():
    angle = 2 * math.pi * torch.rand(600, generator=generator())
    ring = torch.stack([angle.cos(), angle.sin()], dim=1)
    result = two_sample_test(ring[:300], 1.5 * ring[300:], generator=generator())
    assert set(result.accuracies) == {"neighbours_5", "neighbours_15", "neighbours", "kernel", "trees"}
    assert result.accuracy == max(result.accuracies.values()) > 0.97


def test_features_show_what_points_hide():
    """A wave of the radius that is far too fine for 2,000 points becomes one threshold on its phase."""
    points = 100 * normal(1200)
    fake = points[600:].clone()
    fake[:, 0] = fake[:, 0].floor() + 0.5 * fake[:, 0].frac().abs()
    blind = two_sample_test(points[:600], fake, generator=generator())
    seeing = two_sample_test(points[:600], fake, generator=generator(), features=lambda x: x - x.floor())
    assert blind.p_value > 0.01
    assert seeing.accuracy > 0.7
    assert seeing.p_value < 0.01


def test_copies_of_the_real_points_fool_no_p_value_upwards():
    """The twins of the test points carry the opposite label in training: accuracy falls below ½."""
    points = normal(300)
    result = two_sample_test(points, points.clone(), generator=generator())
    assert result.p_value > 0.5


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"as many real as generated.*\[20, 2\] and \[21, 2\]"):
        two_sample_test(normal(20), normal(21), generator=generator())
    with pytest.raises(ValueError, match="at least 10 points of each kind, got 9"):
        two_sample_test(normal(9), normal(9), generator=generator())
    with pytest.raises(ValueError, match="NaN or infinite points; the generator has diverged"):
        two_sample_test(normal(20), normal(20) * math.nan, generator=generator())
    with pytest.raises(ValueError, match=r"true_accuracy must lie in \[0.5, 1\), got 1.0"):
        detection_power(1.0, 10)


@pytest.mark.parametrize("constant", [False, True])
def test_kernel_judge_equals_sklearn(constant):
    train, test = 7 * normal(300) + 2, 7 * normal(200, seed=1) + 2
    if constant:
        train[:, 1] = test[:, 1] = 4.0
    labels = (train[:, 0] + 5 * normal(300, seed=2)[:, 0] > 0).long()
    reference = make_pipeline(StandardScaler(), SVC()).fit(train.double().numpy(), labels.numpy())
    assert kernel_judge(train, labels, test).tolist() == reference.predict(test.double().numpy()).tolist()
