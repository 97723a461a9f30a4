"""The formulas inside the phenomena against closed forms, brute force, scikit-learn and torch's own Adam."""

import itertools
import math

import pytest
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.metrics import roc_auc_score
from torch.func import functional_call

from gaplab.data.spirals import nearest_arm, sample_spirals
from gaplab.networks import MLP
from gaplab.phenomena.activations import slopes
from gaplab.phenomena.adversarial_examples import (
    fast_gradient_sign,
    projected_gradient,
    smallest_perturbation,
)
from gaplab.phenomena.backpropagation import (
    automatic_gradient,
    backpropagated_by_hand,
    numerical_gradient,
    relative_error,
)
from gaplab.phenomena.classic_learners import spiral_features
from gaplab.phenomena.double_descent import draw_kinks, minimum_norm_solution, random_relu_features
from gaplab.phenomena.forgetting import fisher_information
from gaplab.phenomena.generative_discriminative import fit_gaussian_density, fit_spiral_density
from gaplab.phenomena.grokking import MODULUS, draw_sums
from gaplab.phenomena.grokking import Result as Grokked
from gaplab.phenomena.machine_bias import draw_hinted
from gaplab.phenomena.perceptron_mistakes import count_mistakes, sample_separable
from gaplab.phenomena.planted_errors import area_under_curve
from gaplab.phenomena.poisoned_minima import CLEARANCE, SPIRAL, draw_poison
from gaplab.phenomena.reinforcement import largest_bias, reinforce_loss
from gaplab.phenomena.training import build_networks, draw_spirals
from gaplab.phenomena.vanishing_gradients import SETTINGS, slope_per_layer
from gaplab.phenomena.xor import (
    INPUTS,
    TRUTH,
    best_linear_accuracy,
    common_point,
    perceptron_cycle,
    threshold_labelings,
)

WEIGHT = torch.tensor([[1.0, -0.5], [-1.0, 1.5]], dtype=torch.float64)
BIAS = torch.tensor([0.25, -0.5], dtype=torch.float64)


def linear(points: torch.Tensor) -> torch.Tensor:
    return points @ WEIGHT.T + BIAS


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_random_thresholds_reach_the_same_fourteen_labelings() -> None:
    weights = torch.randn(20_000, 2, generator=generator())
    thresholds = torch.randn(20_000, 1, generator=generator(1))
    reached = {tuple(row) for row in (weights @ INPUTS.T >= thresholds).long().tolist()}
    assert reached == set(threshold_labelings())
    assert len(reached) == 14
    unreachable = set(itertools.product((0, 1), repeat=4)) - reached
    assert unreachable == {(0, 1, 1, 0), (1, 0, 0, 1)}
    for labels in unreachable:
        assert common_point(labels).tolist() == [0.5, 0.5]
    assert all(common_point(labels) is None for labels in reached)


def test_best_line_on_each_gate() -> None:
    assert {name: best_linear_accuracy(truth) for name, truth in TRUTH.items()} == {
        "and": 1.0,
        "or": 1.0,
        "xor": 0.75,
    }


def test_perceptron_cycles_on_xor_by_hand_and_converges_on_or() -> None:
    # Order 00, 01, 10, 11 from (w₁, w₂, bias) = 0, on paper:
    # epoch 1: (0,0,-1) (0,1,0) right (-1,0,-1), epoch 2: right (-1,1,0) (0,1,1) (-1,0,0),
    # epoch 3: (-1,0,-1) (-1,1,0) (0,1,1) (-1,0,0), which is where epoch 2 ended.
    assert perceptron_cycle(TRUTH["xor"], (0, 1, 2, 3)) == (3, 4)
    assert perceptron_cycle(TRUTH["or"], (0, 1, 2, 3))[1] == 0


def test_perceptron_mistakes_in_a_case_worked_out_by_hand() -> None:
    # w: 0 -> (1, 0); the second point then scores -0.5 -> (0.5, 1); then both are right.
    points = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)
    assert count_mistakes(points, torch.ones(2, dtype=torch.float64)) == 2


def test_separable_points_keep_their_distance() -> None:
    points, signs, normal = sample_separable(500, 0.1, generator())
    assert len(points) == 500
    assert float(points.norm(dim=1).max()) <= 1
    assert float((signs * (points @ normal)).min()) >= 0.1
    assert set(signs.tolist()) == {-1.0, 1.0}


def test_textbook_formulas_equal_autograd_and_differences() -> None:
    points, labels = sample_spirals(20, generator=generator())
    network = MLP(2, 3, [5], activation="tanh", generator=generator(1)).double()
    by_hand = backpropagated_by_hand(network, points.double(), labels)

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    automatic = automatic_gradient(network, loss, points.double(), labels)
    assert relative_error(by_hand, automatic) < 1e-14
    assert relative_error(by_hand, numerical_gradient(network, loss, points.double(), labels)) < 1e-8


def test_predicted_slopes_are_those_of_the_table() -> None:
    predicted = [s.predicted_slope for s in SETTINGS.values() if s.predicted_slope is not None]
    assert predicted == pytest.approx([-0.602, -0.841, -0.389, -0.239, 0.0], abs=5e-4)


def test_slope_of_an_exact_decay() -> None:
    assert slope_per_layer([10 ** (-0.3 * layer) for layer in range(8)]) == pytest.approx(-0.3)


def test_slopes_of_the_classical_activations() -> None:
    x = torch.tensor([-2.0, 0.5, 2.0])
    assert slopes("step", x).tolist() == [0, 0, 0]
    assert slopes("ramp", x).tolist() == [0, 1, 0]
    assert slopes("step_ste", x).tolist() == [0, 1, 0]
    assert slopes("relu", x).tolist() == [0, 1, 1]


def test_minimum_norm_solution_interpolates_and_equals_the_pseudo_inverse() -> None:
    features = torch.randn(10, 25, generator=generator(), dtype=torch.float64)
    targets = torch.randn(10, 2, generator=generator(1), dtype=torch.float64)
    solution = minimum_norm_solution(features, targets)
    assert torch.allclose(features @ solution, targets, atol=1e-10)
    assert torch.allclose(solution, torch.linalg.pinv(features) @ targets, atol=1e-10)


def test_kinks_lie_between_spiral_points() -> None:
    weights, biases = draw_kinks(200, 0)
    assert torch.allclose(weights.norm(dim=0), torch.ones(200, dtype=torch.float64))
    assert float(biases.abs().max()) <= 1  # the kink passes within the unit disc
    feature = random_relu_features(-biases[:1, None] * weights[:, :1].T, weights[:, :1], biases[:1])
    assert float(feature) == pytest.approx(0, abs=1e-15)


def test_attacks_on_a_linear_model_have_closed_forms() -> None:
    points = torch.randn(50, 2, generator=generator(), dtype=torch.float64)
    labels = linear(points).argmax(dim=1)
    slope = 2.0 + 2.0  # |w₁ − w₀| = (2, 2)
    logits = linear(points)
    margins = (logits[:, 0] - logits[:, 1]).abs()
    moved = linear(fast_gradient_sign(linear, points, labels, 0.05))
    change = (moved[:, 0] - moved[:, 1]) * torch.where(labels == 0, 1.0, -1.0) - margins
    assert torch.allclose(change, torch.full_like(change, -0.05 * slope), atol=1e-12)

    distances = smallest_perturbation(linear, points, labels, reach=0.3, step=0.01)
    closed = margins / slope
    near = closed < 0.28
    assert near.sum() > 5
    assert ((distances - closed)[near] > -1e-9).all()
    assert ((distances - closed)[near] <= 0.01 + 1e-9).all()
    assert distances[closed > 0.3].isinf().all()

    attacked = projected_gradient(linear, points, labels, 0.1, generator())
    assert float((attacked - points).abs().max()) <= 0.1 + 1e-12
    fooled = linear(attacked).argmax(dim=1) != labels
    assert torch.equal(fooled, closed < 0.1)  # on a linear model the attack is exact


def test_spiral_density_recovers_the_law_and_the_bayes_rule() -> None:
    points, labels = sample_spirals(3000, noise=0.3, turns=0.9, generator=generator())
    law = fit_spiral_density(points, labels)
    assert law.turns == pytest.approx(0.9, abs=0.02)
    assert law.phase == pytest.approx(0, abs=0.05)
    assert law.noise == pytest.approx(0.3, abs=0.02)
    answers = law.probabilities(points).argmax(dim=1)
    assert (answers == nearest_arm(points, 3, turns=0.9)).double().mean() > 0.98


def test_gaussian_density_equals_quadratic_discriminant_analysis() -> None:
    points, labels = sample_spirals(300, generator=generator())
    law = fit_gaussian_density(points, labels)
    peer = QuadraticDiscriminantAnalysis(priors=[1 / 3] * 3).fit(points.numpy(), labels.numpy())
    theirs = torch.from_numpy(peer.predict(points.numpy()))
    assert (law.probabilities(points).argmax(dim=1) == theirs).double().mean() > 0.97


def test_straightened_arms_lie_in_three_directions() -> None:
    points, labels = sample_spirals(300, noise=0.0, generator=generator())
    x, y = torch.from_numpy(spiral_features(points.numpy())).T
    centres = 2 * math.pi * labels / 3
    assert torch.allclose(x, centres.cos(), atol=1e-4)
    assert torch.allclose(y, centres.sin(), atol=1e-4)


def test_poison_has_wrong_labels_away_from_training_points() -> None:
    points, _ = draw_spirals([0, 1], 40, **SPIRAL)
    poison, labels = draw_poison([0, 1], points, 100)
    assert poison.shape == (2, 100, 2)
    assert float(torch.cdist(poison, points).min()) > CLEARANCE
    for x, y in zip(poison, labels, strict=True):
        assert (nearest_arm(x, 2, turns=1.0) == 1 - y).all()


def test_networks_trained_together_equal_networks_trained_alone() -> None:
    points, labels = draw_spirals([3, 4], 60)
    together = build_networks([3, 4], [8])
    together.train(points, labels, num_steps=30, lr=1e-2, weight_decay=0.1)
    for k, seed in enumerate((3, 4)):
        alone = build_networks([seed], [8]).template
        optimizer = torch.optim.AdamW(alone.parameters(), lr=1e-2, weight_decay=0.1)
        for _ in range(30):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(alone(points[k]), labels[k]).backward()
            optimizer.step()
        for name, parameter in alone.named_parameters():
            assert torch.allclose(together.parameters[name][k], parameter, atol=1e-5), name


def test_fisher_information_equals_a_loop_of_autograd() -> None:
    networks = build_networks([0, 1], [4])
    points = torch.randn(2, 6, 2, generator=generator())
    information = fisher_information(networks, points)
    for k in range(2):
        weights = {name: value[k].requires_grad_() for name, value in networks.parameters.items()}
        expected = {name: torch.zeros_like(value) for name, value in weights.items()}
        for point in points[k]:
            log_probabilities = functional_call(networks.template, weights, (point[None],)).log_softmax(-1)[0]
            for term in log_probabilities:
                gradients = torch.autograd.grad(term, list(weights.values()), retain_graph=True)
                for name, gradient in zip(weights, gradients, strict=True):
                    expected[name] += term.exp().detach() * gradient.square() / len(points[k])
        for name, value in expected.items():
            assert torch.allclose(information[name][k], value, atol=1e-7)


def test_fisher_information_of_a_softmax_in_closed_form() -> None:
    networks = build_networks([0], [])
    points = torch.randn(1, 9, 2, generator=generator())
    probabilities = networks.logits(points)[0].softmax(dim=-1)
    variance = probabilities * (1 - probabilities)  # of the indicator of each answer
    expected = torch.einsum("pc,pd->cd", variance, points[0].square()) / 9
    assert torch.allclose(fisher_information(networks, points)["output.weight"][0], expected, atol=1e-6)


def test_a_penalty_that_outweighs_the_loss_holds_the_weights() -> None:
    points, labels = draw_spirals([0], 30)
    networks = build_networks([0], [5])
    before = {name: value.clone() for name, value in networks.parameters.items()}

    def penalty(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return 1e6 * sum(((parameters[name] - before[name]) ** 2).sum() for name in before)

    networks.train(points, labels, num_steps=200, lr=1e-3, penalty=penalty)
    assert all(torch.allclose(networks.parameters[name], before[name], atol=5e-3) for name in before)
    networks.train(points, labels, num_steps=200, lr=1e-3)
    assert not all(torch.allclose(networks.parameters[name], before[name], atol=5e-2) for name in before)


def test_the_hint_is_right_for_all_but_the_minority() -> None:
    points, labels = draw_hinted([0, 1], 400, "train", 20)
    right = points[..., 2].sign() == 2 * labels - 1
    assert right[:, :380].double().mean() > 0.99
    assert right[:, 380:].double().mean() < 0.1
    assert not torch.equal(points[0], points[1])


def test_area_under_curve_equals_scikit_learn() -> None:
    scores = torch.randint(0, 5, (60,), generator=generator()).double()
    positive = torch.rand(60, generator=generator(1)) < 0.3
    expected = roc_auc_score(positive.numpy(), scores.numpy())
    assert area_under_curve(scores, positive) == pytest.approx(expected)


def test_reinforce_with_the_label_as_action_is_the_cross_entropy() -> None:
    logits = torch.randn(8, 3, generator=generator())
    labels = torch.randint(3, (8,), generator=generator(1))
    losses = reinforce_loss(logits.log_softmax(-1), labels, torch.ones(8), torch.zeros(()))
    assert torch.allclose(losses, torch.nn.functional.cross_entropy(logits, labels, reduction="none"))


def test_reinforce_on_a_case_worked_out_by_hand() -> None:
    # π = (1/2, 1/2), action 0 rewarded, baseline 1/4: loss −3/4 log 1/2, gradient −3/4 (1 − 1/2, −1/2).
    logits = torch.zeros(2, requires_grad=True)
    loss = reinforce_loss(logits.log_softmax(-1), torch.tensor(0), torch.tensor(1.0), torch.tensor(0.25))
    loss.backward()
    assert loss.item() == pytest.approx(0.75 * math.log(2))
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([-0.375, 0.375])
    assert largest_bias(0) < 1e-12


def test_sums_are_complete_and_apart() -> None:
    points, labels, others, other_labels = draw_sums(0, 0.6)
    assert (len(points), len(others)) == (317, 212)
    every = torch.cat((points, others))
    assert len(every.unique(dim=0)) == MODULUS**2
    a, b = every[:, :MODULUS].argmax(dim=1), every[:, MODULUS:].argmax(dim=1)
    assert torch.equal((a + b) % MODULUS, torch.cat((labels, other_labels)))


def test_a_step_that_was_never_reached_is_infinite() -> None:
    result = Grokked(
        [0, 20, 40], [], [[0.1, 0.1], [0.9, 0.2], [0.95, 0.3]], [[3.0, 3.0], [2.0, 3.0], [1.0, 3.0]]
    )
    steps = result.reached(result.test, 0.9)
    assert steps == [20, math.inf]
    norms = result.at(result.norms, steps)
    assert norms[0] == 2
    assert math.isnan(norms[1])
