import itertools

import pytest
import torch

from gaplab.networks import Perceptron, ThresholdLayer, build_gate, num_parameters

PAIRS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "truth"), [("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1]), ("xor", [0, 1, 1, 0])]
)
def test_gates_have_their_truth_table(name: str, truth: list[int]) -> None:
    gate = build_gate(name)
    assert gate(PAIRS).flatten().tolist() == truth
    assert num_parameters(gate) == 0


def test_not_inverts() -> None:
    assert build_gate("not")(torch.tensor([[0.0], [1.0]])).flatten().tolist() == [1, 0]


def test_no_single_threshold_neuron_computes_xor() -> None:
    levels = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]
    xor = torch.tensor([0.0, 1.0, 1.0, 0.0])
    scores = [
        (ThresholdLayer([[a, b]], [threshold])(PAIRS).flatten() == xor).sum().item()
        for a, b, threshold in itertools.product(levels, repeat=3)
    ]
    assert max(scores) == 3  # Minsky & Papert 1969: at most three of four


def test_weights_and_thresholds_must_agree() -> None:
    with pytest.raises(ValueError, match="got 2 rows and 1 thresholds"):
        ThresholdLayer([[1.0], [2.0]], [1.0])


def test_perceptron_starts_from_zero() -> None:
    perceptron = Perceptron(2, 3)
    assert torch.equal(perceptron(PAIRS), torch.zeros(4, 3))
    assert num_parameters(perceptron) == 9
