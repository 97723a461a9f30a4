import math

import pytest
import torch
from sklearn.metrics import hinge_loss, log_loss
from torch import Tensor
from torch.func import vmap

from gaplab.losses.classification import LOSSES, cross_entropy, hinge, perceptron_loss, squared_error

LOGITS = torch.tensor([[2.0, 1.0, -1.0], [0.5, 0.4, 0.9], [0.0, 3.0, 2.5], [-1.0, 0.0, 0.2]])
LABELS = torch.tensor([0, 1, 2, 2])


def test_cross_entropy_equals_sklearn() -> None:
    expected = log_loss(LABELS.numpy(), LOGITS.double().softmax(1).numpy(), labels=[0, 1, 2])
    assert float(cross_entropy(LOGITS, LABELS).mean()) == pytest.approx(expected, rel=1e-6)


def test_label_smoothing_mixes_the_target_with_the_uniform_one() -> None:
    log_p = LOGITS.log_softmax(1)
    expected = 0.7 * cross_entropy(LOGITS, LABELS) - 0.3 * log_p.mean(dim=1)
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS, label_smoothing=0.3), expected)


def test_losses_worked_out_by_hand() -> None:
    assert perceptron_loss(LOGITS, LABELS).tolist() == pytest.approx([0, 0.5, 0.5, 0])
    assert hinge(LOGITS, LABELS).tolist() == pytest.approx([0, 1.5, 1.5, 0.8])
    rows = [1 + 1 + 1, 0.25 + 0.36 + 0.81, 0 + 9 + 2.25, 1 + 0 + 0.64]
    assert squared_error(LOGITS, LABELS).tolist() == pytest.approx(rows)


def test_hinge_equals_sklearn() -> None:
    assert float(hinge(LOGITS, LABELS).mean()) == pytest.approx(hinge_loss(LABELS.numpy(), LOGITS.numpy()))


def test_squared_error_with_one_output_has_targets_minus_one_and_one() -> None:
    value = squared_error(torch.tensor([[0.5], [-2.0]]), torch.tensor([1, 0]))
    assert value.tolist() == pytest.approx([0.25, 1.0])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_under_vmap_equal_a_loop(name: str) -> None:
    logits, labels = torch.stack((LOGITS, LOGITS.flip(1))), torch.stack((LABELS, LABELS.flip(0)))
    loop = torch.stack([LOSSES[name](z, y) for z, y in zip(logits, labels, strict=True)])
    torch.testing.assert_close(vmap(LOSSES[name])(logits, labels), loop)


def separable(num_points: int = 200, margin: float = 0.1) -> tuple[Tensor, Tensor]:
    points = torch.rand(20 * num_points, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    distance = points @ torch.tensor([0.6, 0.8])
    points = points[distance.abs() >= margin][:num_points]
    return points, (points @ torch.tensor([0.6, 0.8]) > 0).long()


def test_sgd_on_the_perceptron_loss_is_rosenblatts_rule_within_novikoffs_bound() -> None:
    points, labels = separable()
    weights = torch.zeros(2, 2, requires_grad=True)  # one row per class
    by_hand = torch.zeros(2, 2)
    num_mistakes = 0
    for _ in range(1000):
        mistakes_before = num_mistakes
        for x, y in zip(points, labels, strict=True):
            loss = perceptron_loss((weights @ x)[None], y[None]).sum()
            (gradient,) = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                weights -= 1.0 * gradient
            winner = int((by_hand @ x).argmax())
            if winner != int(y):
                by_hand[y] += x
                by_hand[winner] -= x
                num_mistakes += 1
            assert torch.equal(weights.detach(), by_hand)
        if num_mistakes == mistakes_before:
            break
    else:
        pytest.fail("the perceptron did not converge on separable data")
    # w = row 1 − row 0 starts at 0 and moves by ±2x: the two-class rule with inputs scaled by 2.
    gamma = float((points @ torch.tensor([0.6, 0.8])).abs().min())
    radius = float(points.norm(dim=1).max())
    assert 0 < num_mistakes <= (radius / gamma) ** 2
    assert torch.equal((points @ by_hand.T).argmax(1), labels)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_number_of_classes() -> None:
    assert cross_entropy(torch.zeros(4, 3), LABELS).tolist() == pytest.approx([math.log(3)] * 4)
