import math

import pytest
import torch

from gaplab.networks.activations import ACTIVATIONS, build_activation

X = torch.tensor([-2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5])

BY_HAND = {
    "identity": lambda x: x,
    "ramp": lambda x: max(-1.0, min(1.0, x)),
    "step": lambda x: 1.0 if x >= 0 else 0.0,
    "sign": lambda x: 1.0 if x >= 0 else -1.0,
    "step_ste": lambda x: 1.0 if x >= 0 else 0.0,
    "sign_ste": lambda x: 1.0 if x >= 0 else -1.0,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "softsign": lambda x: x / (1 + abs(x)),
    "relu": lambda x: max(0.0, x),
    "leaky_relu": lambda x: x if x >= 0 else 0.01 * x,
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x >= 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_match_the_formulas(name: str) -> None:
    expected = torch.tensor([BY_HAND[name](x) for x in X.tolist()])
    torch.testing.assert_close(build_activation(name)(X), expected, atol=1e-6, rtol=1e-5)


def gradient(name: str) -> torch.Tensor:
    x = X.clone().requires_grad_()
    return torch.autograd.grad(build_activation(name)(x).sum(), x)[0]


def test_step_and_sign_have_zero_gradient_and_the_straight_through_ones_have_that_of_ramp() -> None:
    inside = (X.abs() <= 1).float()
    for name in ("step", "sign"):
        assert torch.equal(gradient(name), torch.zeros_like(X))
        assert torch.equal(gradient(f"{name}_ste"), inside)


def test_derivative_of_the_sigmoid_is_its_product_and_at_most_a_quarter() -> None:
    value = build_activation("sigmoid")(X)
    torch.testing.assert_close(gradient("sigmoid"), value * (1 - value))
    assert gradient("sigmoid").max() == 0.25


def test_unknown_name_lists_the_choices_and_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"activation must be one of identity, ramp, .* Did you mean 'relu'\?"
    ):
        build_activation("rleu")
