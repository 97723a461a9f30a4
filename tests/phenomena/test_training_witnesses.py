"""What is measured on trained networks, against closed forms, loops, SciPy and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import nn
from torch.func import functional_call

from gaplab.data.regression import sample_noisy
from gaplab.phenomena import bias_variance, informative_words
from gaplab.phenomena.bias_variance import decompose, fit_polynomials, polynomials
from gaplab.phenomena.calibration import best_temperature, calibration_errors
from gaplab.phenomena.edge_of_stability import sharpness
from gaplab.phenomena.epochwise_double_descent import descend, turns
from gaplab.phenomena.informative_words import draw_law, draw_texts, information, shares
from gaplab.phenomena.lottery_tickets import prune, shuffle
from gaplab.phenomena.neural_collapse import collapse, features_of
from gaplab.phenomena.training import Networks, build_networks, draw_spirals, mean_squared_error
from gaplab.randomness import make_generator


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gradient_descent_on_stacked_weights_equals_descent_alone() -> None:
    points, labels = draw_spirals([0, 1], 30)
    targets = nn.functional.one_hot(labels, 3).float()
    together = build_networks([0, 1], [6])
    together.train(points, targets, num_steps=20, lr=0.1, loss=mean_squared_error, descent=True)
    for k in range(2):
        alone = build_networks([k], [6]).template
        for _ in range(20):
            alone.zero_grad()
            nn.functional.mse_loss(alone(points[k]), targets[k]).backward()
            with torch.no_grad():
                for weights in alone.parameters():
                    assert weights.grad is not None
                    weights -= 0.1 * weights.grad
        for name, weights in alone.named_parameters():
            assert torch.allclose(together.parameters[name][k], weights, atol=1e-5), name


def test_masked_weights_are_zero_and_others_are_trained() -> None:
    points, labels = draw_spirals([0], 30)
    networks = build_networks([0], [8])
    mask = {"hidden.0.linear.weight": torch.tensor([[[1.0, 0.0]] * 8])}
    networks.train(points, labels, num_steps=10, mask=mask, weight_decay=0.1)
    weights = networks.parameters["hidden.0.linear.weight"][0]
    assert (weights[:, 1] == 0).all()
    assert (weights[:, 0] != build_networks([0], [8]).parameters["hidden.0.linear.weight"][0, :, 0]).all()


def test_pruning_keeps_the_greatest_of_what_remains() -> None:
    parameters = {"a": torch.tensor([[1.0, -5.0, 3.0]]), "b": torch.tensor([[[2.0], [-4.0], [9.0]]])}
    mask = {"a": torch.ones(1, 3), "b": torch.tensor([[[1.0], [1.0], [0.0]]])}
    kept = prune(parameters, mask, 0.4)
    assert kept["a"].tolist() == [[0, 1, 0]]
    assert kept["b"].tolist() == [[[0], [1], [0]]]
    moved = shuffle({"a": torch.tensor([[1.0, 0, 0, 0]] * 9)}, range(9))["a"]
    assert moved.sum(dim=1).tolist() == [1] * 9
    assert len(moved.unique(dim=0)) > 1


def test_sharpness_of_a_linear_model_in_closed_form() -> None:
    networks = Networks([nn.Linear(3, 2, bias=False)])
    points = torch.randn(1, 20, 3, generator=generator())
    found = sharpness(networks, networks.parameters, points, torch.zeros(1, 20, 2))
    # Mean over points and both outputs of (w·x − y)²: the Hessian is XᵀX/20 for each output.
    expected = torch.linalg.eigvalsh(points[0].T @ points[0] / 20)[-1]
    assert found == pytest.approx([float(expected)], rel=1e-5)
    broken = {name: value * math.nan for name, value in networks.parameters.items()}
    assert sharpness(networks, broken, points * math.nan, torch.zeros(1, 20, 2)) == [math.inf]


def test_descent_in_closed_form_equals_a_loop() -> None:
    inputs = torch.randn(12, 5, generator=generator(), dtype=torch.float64)
    targets = torch.randn(12, generator=generator(1), dtype=torch.float64)
    covariance = inputs.T @ inputs / 12
    rate = 1 / torch.linalg.eigvalsh(covariance)[-1]
    weights, path = torch.zeros(5, dtype=torch.float64), []
    for _ in range(8):
        path.append(weights)
        weights = weights - rate * inputs.T @ (inputs @ weights - targets) / 12
    assert torch.allclose(descend(inputs, targets, range(8)), torch.stack(path))


def test_a_second_descent_is_found_where_there_is_one() -> None:
    assert turns([3, 1, 2, 4, 2, 0.5, 0.7]) == (1, 4, 0.5)
    assert turns([3, 2, 1, 1.5, 2]) == (1, 2, 2)
    assert turns([3, 2, 1]) == (1, 1, 1)
    assert turns([3, 1, 1.2, 1.1, 5, 4]) == (1, 5, 4)


def test_features_drawn_to_a_simplex_are_collapsed_and_others_not() -> None:
    corners = torch.eye(3, dtype=torch.float64) - 1 / 3
    labels = torch.arange(3).repeat_interleave(4)
    full = collapse(corners[labels] + 7, labels, corners, torch.zeros(3))
    assert full == pytest.approx((0, 0, 0, 0, 0), abs=1e-9)
    square = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    labels = torch.arange(4).repeat_interleave(2)
    noise = torch.tensor([0.1, -0.1]).repeat(4)[:, None] * torch.ones(2)
    found = collapse(square[labels] + noise, labels, -square, torch.zeros(4))
    assert found.angles == pytest.approx(4 / 9)  # cosines 0, 0, −1 against −1/3
    assert found.lengths == pytest.approx(0, abs=1e-7)
    assert found.duality == pytest.approx(2)  # opposite directions
    assert found.nearest == 1
    # Σ_W has 0.01 in every entry, Σ_B is half the identity: tr(Σ_W Σ_B⁻¹)/4 = 2·0.01·2/4.
    assert found.within == pytest.approx(0.01)


def test_features_times_output_weights_are_the_logits() -> None:
    networks = build_networks([0, 1], [6, 5])
    points = torch.randn(2, 7, 2, generator=generator())
    features = features_of(networks, networks.parameters, points)
    weight, bias = networks.parameters["output.weight"], networks.parameters["output.bias"]
    logits = features @ weight.mT + bias[:, None]
    for k in range(2):
        one = {name: value[k] for name, value in networks.parameters.items()}
        assert torch.allclose(logits[k], functional_call(networks.template, one, (points[k],)), atol=1e-6)


def test_the_temperature_undoes_a_factor_and_calibrates() -> None:
    probabilities = torch.rand(1, 4000, 3, generator=generator()).softmax(-1)
    labels = torch.multinomial(probabilities[0], 1, generator=generator(1)).T
    logits = probabilities.log()
    assert calibration_errors(logits, labels)[0] < 0.03
    assert calibration_errors(5 * logits, labels)[0] > 0.2
    assert float(best_temperature(5 * logits, labels)) == pytest.approx(5, rel=0.15)


def test_confidence_of_one_half_that_is_always_right_is_off_by_one_half() -> None:
    assert calibration_errors(torch.zeros(1, 6, 2), torch.zeros(1, 6, dtype=torch.long)) == [0.5]


def test_polynomials_are_those_of_numpy_and_the_fit_is_least_squares() -> None:
    points, targets = sample_noisy(
        15, bias_variance.law, 1, bias_variance.ENDS, noise=0.1, generator=generator()
    )
    expected = np.polynomial.legendre.legvander(points[:, 0].double().numpy(), 4)
    assert np.allclose(polynomials(points, 4), expected)
    places = torch.linspace(-1, 1, 9)[:, None]
    found = fit_polynomials(points[None], targets[None, :, None], 4, places)[0]
    fit = np.polynomial.Polynomial.fit(points[:, 0].double().numpy(), targets.double().numpy(), 4)
    assert np.allclose(found, fit(places[:, 0].double().numpy()))


def test_bias_and_variance_of_a_learner_that_is_known() -> None:
    truth = torch.linspace(0, 1, 500)
    predictions = truth + 0.5 + 0.2 * torch.randn(400, 500, generator=generator())
    parts = decompose(predictions, truth)
    assert parts.bias == pytest.approx(0.25, abs=0.005)
    assert parts.variance == pytest.approx(0.04, abs=0.001)
    unbiased = [decompose(predictions[k : k + 4] - 0.5, truth).bias for k in range(0, 400, 4)]
    assert sum(unbiased) / 100 == pytest.approx(0, abs=0.001)  # without the correction it would be 0.01


def test_information_equals_scikit_learn_and_the_binary_channel() -> None:
    law = draw_law(0)
    counts, labels = draw_texts(law, 7, generator())
    found = information(shares(counts, labels))
    for word in range(0, 600, 40):
        expected = mutual_info_score(labels.numpy(), (counts[:, word] > 0).numpy())
        assert float(found[word]) == pytest.approx(expected, abs=1e-12)
    # Two subjects, a word in 9 of 10 texts of the one and 1 of 10 of the other: ln 2 − H(0.1).
    channel = information(torch.tensor([[0.9], [0.1]], dtype=torch.float64))
    assert float(channel) == pytest.approx(math.log(2) + 0.1 * math.log(0.1) + 0.9 * math.log(0.9))


def test_words_that_say_nothing_are_equally_frequent_in_all_subjects() -> None:
    law = draw_law(3)
    truth = information(1 - (-law).exp())
    bound = (law != law[:1]).any(dim=0)
    assert int(bound.sum()) == informative_words.NUM_TOPICAL
    assert torch.equal(truth > 1e-12, bound)
    assert law.mean(dim=0).sum() == pytest.approx(informative_words.TEXT_LENGTH)


def test_two_wrong_answers_of_a_hundred_are_two_hundredths() -> None:
    networks = build_networks([0, 1], [8])
    points = torch.randn(2, 100, 2, generator=make_generator(0, "points"))
    labels = networks.logits(points).argmax(-1)
    labels[0, :2] = (labels[0, :2] + 1) % 3
    assert networks.error(points, labels) == [0.02, 0.0]
    assert networks.accuracy(points, labels) == [0.98, 1.0]
