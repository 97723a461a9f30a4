import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gaplab.data.published_spirals import (
    draw_cs231n_weights,
    published_cs231n_spirals,
    sample_playground_spirals,
    sample_two_spirals,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def descend(sizes: list[int], num_steps: int) -> tuple[float, float]:
    """CS231n's bare gradient descent (step 1, reg 1e-3); loss and accuracy before the last step."""
    stream = np.random.RandomState(0)
    points, labels = published_cs231n_spirals(stream)
    weights = [weight.requires_grad_() for weight in draw_cs231n_weights(stream, sizes)]
    biases = [torch.zeros(len(weight), requires_grad=True) for weight in weights]
    parameters = [*weights, *biases]
    loss, logits = torch.zeros(()), points
    for _ in range(num_steps):
        logits = points
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            logits = (logits if layer == 0 else logits.relu()) @ weight.T + bias
        loss = cross_entropy(logits, labels) + 0.5 * 1e-3 * sum((w**2).sum() for w in weights)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= gradient
    return float(loss.detach()), float((logits.argmax(1) == labels).float().mean())


def test_cs231n_published_sample_equals_the_course_loop() -> None:
    np_state = np.random.RandomState(0)
    rows = []
    for j in range(3):
        r = np.linspace(0.0, 1, 100)
        theta = np.linspace(j * 4, (j + 1) * 4, 100) + np_state.randn(100) * 0.2
        rows.append(np.c_[r * np.sin(theta), r * np.cos(theta)])
    first_weights = 0.01 * np_state.randn(2, 100)
    stream = np.random.RandomState(0)
    points, labels = published_cs231n_spirals(stream)
    np.testing.assert_allclose(points.numpy(), np.concatenate(rows), atol=1e-7)
    assert labels.tolist() == [0] * 100 + [1] * 100 + [2] * 100
    np.testing.assert_allclose(
        draw_cs231n_weights(stream, [2, 100, 3])[0].numpy().T, first_weights, rtol=1e-6
    )


def test_cs231n_softmax_reaches_the_published_loss() -> None:
    loss, _ = descend([2, 3], 191)  # the course prints iteration 190 before its step
    assert loss == pytest.approx(0.786302, abs=2e-6)
    assert descend([2, 3], 200)[1] == pytest.approx(0.49, abs=0.005)


@pytest.mark.thorough
def test_cs231n_relu_network_reaches_the_published_accuracy() -> None:
    loss, _ = descend([2, 100, 3], 9001)
    # 9000 large steps amplify rounding: float64 gives 0.24509, float32 0.24424 (measured).
    assert loss == pytest.approx(0.245292, abs=2e-3)
    assert descend([2, 100, 3], 10_000)[1] == pytest.approx(0.98, abs=0.005)


def playground_loop(num_points: int) -> tuple[list[list[float]], list[int]]:
    points, targets = [], []
    n = num_points // 2
    for delta, label in ((0.0, 1), (math.pi, -1)):
        for i in range(n):
            r = i / n * 5
            t = 1.75 * i / n * 2 * math.pi + delta
            points.append([r * math.sin(t), r * math.cos(t)])
            targets.append(label)
    return points, targets


def test_playground_spirals_equal_the_published_loop() -> None:
    points, labels = sample_playground_spirals(500, generator=generator())
    expected, targets = playground_loop(500)
    torch.testing.assert_close(points, torch.tensor(expected), atol=5e-6, rtol=0)
    assert (2 * labels - 1).tolist() == targets


def test_playground_noise_is_uniform_around_the_clean_points() -> None:
    clean = sample_playground_spirals(20_000, generator=generator())[0]
    shift = (sample_playground_spirals(20_000, noise=0.3, generator=generator())[0] - clean) / 0.3
    assert shift.abs().max() <= 1 + 1e-5
    quantiles = torch.quantile(shift.flatten(), torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([-0.5, 0.0, 0.5]), atol=0.02, rtol=0)
    with pytest.raises(ValueError, match=r"between 0 and 0\.5, but got 0\.6"):
        sample_playground_spirals(noise=0.6, generator=generator())


def two_spirals_loop(i: float) -> Tensor:
    radius, angle = 6.5 * (104 - i) / 104, i * math.pi / 16
    return torch.tensor([radius * math.cos(angle), radius * math.sin(angle)])


def test_two_spirals_equal_the_benchmark() -> None:
    points, labels = sample_two_spirals(generator=generator())
    assert points.shape == (194, 2)
    assert labels.bincount().tolist() == [97, 97]
    torch.testing.assert_close(points[labels == 1], torch.stack([two_spirals_loop(i) for i in range(97)]))
    assert torch.equal(points[labels == 0], -points[labels == 1])
    torch.testing.assert_close(points[0], torch.tensor([6.5, 0.0]))
    torch.testing.assert_close(points[-2], torch.tensor([0.5, 0.0]), atol=1e-6, rtol=0)  # three full turns


def test_two_spirals_test_set_lies_between_the_training_points() -> None:
    points, labels = sample_two_spirals(192, between=True, generator=generator())
    expected = torch.stack([two_spirals_loop(i + 0.5) for i in range(96)])
    torch.testing.assert_close(points[labels == 1], expected)
    assert torch.equal(points[labels == 0], -points[labels == 1])


def test_two_spirals_refuse_other_sizes_and_take_noise() -> None:
    with pytest.raises(ValueError, match=r"must be 194 .* but got 200"):
        sample_two_spirals(200, generator=generator())
    with pytest.raises(ValueError, match="must be 192"):
        sample_two_spirals(194, between=True, generator=generator())
    clean = sample_two_spirals(generator=generator())[0]
    shift = sample_two_spirals(noise=0.1, generator=generator())[0] - clean
    assert float(shift.std()) == pytest.approx(0.1, rel=0.2)
