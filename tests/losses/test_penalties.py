import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from gaplab.losses.penalties import (
    clipped_weights,
    gradient_norm_penalty,
    one_centred_penalty,
    r1_penalty,
    r2_penalty,
    scores_and_gradients,
    zero_centred_penalty,
)

WEIGHT = torch.tensor([3.0, 4.0])


def linear(points):
    return points @ WEIGHT + 1.0


def mlp(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def points(seed: int, count: int = 6):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_linear_discriminator_has_its_weight_as_gradient_everywhere():
    """‖(3, 4)‖ = 5, so R1 = R2 = 25/2 and the one-centred penalty is (5 − 1)² = 16."""
    real, fake = torch.randn(7, 2), torch.randn(7, 2)
    scores, gradients = scores_and_gradients(linear, real)
    assert torch.allclose(scores, linear(real))
    assert torch.allclose(gradients, WEIGHT.expand(7, 2))
    assert r1_penalty(linear, real).item() == pytest.approx(12.5)
    assert r2_penalty(linear, fake).item() == pytest.approx(12.5)
    assert gradient_norm_penalty(linear, real, fake, torch.rand(7, 1)).item() == pytest.approx(16.0)


def test_quadratic_discriminator_is_evaluated_at_the_mixed_points():
    """D(x) = ½‖x‖² has gradient x: at u·(2, 0) + (1 − u)·(0, 0) = (2u, 0) the penalty is (2u − 1)²."""
    real, fake = torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2)
    for share in (0.25, 0.5, 1.0):
        value = gradient_norm_penalty(lambda x: 0.5 * x.square().sum(1), real, fake, torch.tensor([[share]]))
        assert value.item() == pytest.approx((2 * share - 1) ** 2)


def test_values_and_weight_gradients_equal_double_backward():
    network, real = mlp(0), points(1)
    inputs = real.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(network(inputs).sum(), inputs, create_graph=True)
    expected = 0.5 * slopes.square().sum(dim=1).mean()
    reference = torch.autograd.grad(expected, list(network.parameters())[:-1])

    value = r1_penalty(network, real)
    ours = torch.autograd.grad(value, list(network.parameters())[:-1])
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    for left, right in zip(ours, reference, strict=True):
        assert torch.allclose(left, right, rtol=1e-10, atol=1e-14)


def test_weight_gradient_equals_finite_differences():
    network, real = mlp(2), points(3)
    weight = network[0].weight
    (slope,) = torch.autograd.grad(r1_penalty(network, real), weight)
    step = 1e-6
    with torch.no_grad():
        weight[1, 0] += step
        above = r1_penalty(network, real)
        weight[1, 0] -= 2 * step
        below = r1_penalty(network, real)
    assert slope[1, 0].item() == pytest.approx(((above - below) / (2 * step)).item(), rel=1e-6)


@pytest.mark.parametrize("kind", ["r1", "r2", "gradient_norm"])
def test_vmapped_models_equal_a_loop_of_single_models(kind):
    networks = [mlp(seed) for seed in range(3)]
    parameters, buffers = stack_module_state(networks)
    real = torch.stack([points(10 + k) for k in range(3)])
    fake = torch.stack([points(20 + k) for k in range(3)])
    mixing = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]

    def penalty(discriminator, real, fake):
        if kind == "r1":
            return r1_penalty(discriminator, real)
        if kind == "r2":
            return r2_penalty(discriminator, fake)
        return gradient_norm_penalty(discriminator, real, fake, mixing)

    def loss(weights, buffers, real, fake):
        return penalty(lambda x: functional_call(networks[0], (weights, buffers), (x,)), real, fake)

    together = vmap(grad(loss))(parameters, buffers, real, fake)
    for k, network in enumerate(networks):
        network.zero_grad()
        penalty(network, real[k], fake[k]).backward()
        for name, parameter in network.named_parameters():
            alone = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            assert torch.allclose(together[name][k], alone, rtol=1e-10, atol=1e-14), name


def test_generated_points_receive_no_gradient():
    fake = points(4).requires_grad_()
    r2_penalty(mlp(5), fake).backward()
    assert fake.grad is None


def test_flat_discriminator_has_finite_penalty_gradient():
    gradients = torch.zeros(3, 2, requires_grad=True)
    value = one_centred_penalty(gradients)
    value.backward()
    assert value.item() == 1.0
    assert torch.equal(gradients.grad, torch.zeros(3, 2))
    assert zero_centred_penalty(gradients).item() == 0.0


def test_a_wrong_discriminator_shape_is_named():
    with pytest.raises(ValueError, match=r"one score per point, shape \[7\] or \[7, 1\]; got \[7, 3\]"):
        r1_penalty(lambda x: x @ torch.ones(2, 3), torch.zeros(7, 2))
    with pytest.raises(ValueError, match=r"pairwise.*\[7, 2\] and \[6, 2\]"):
        gradient_norm_penalty(linear, torch.zeros(7, 2), torch.zeros(6, 2), torch.zeros(7, 1))


def test_clipping_moves_only_weights_outside_the_limit():
    clipped = clipped_weights({"w": torch.tensor([-0.5, 0.005, 0.02])}, 0.01)
    assert torch.equal(clipped["w"], torch.tensor([-0.01, 0.005, 0.01]))
    with pytest.raises(ValueError, match="limit must be above 0, got 0"):
        clipped_weights({}, 0.0)
