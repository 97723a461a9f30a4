import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from gaplab.networks import BLOCKS, MLP, num_parameters


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


POINTS = torch.randn(11, 2, generator=generator(99))


def test_the_notebook_network_is_equal_bit_for_bit() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = nn.Sequential(nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 3))
        following = torch.rand(4)
    stream = generator(3)
    network = MLP(2, 3, [100], generator=stream)
    for ours, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(network(POINTS), expected(POINTS))
    assert torch.equal(torch.rand(4, generator=stream), following)


def test_no_widths_is_the_softmax_model() -> None:
    network = MLP(2, 3, [], generator=generator())
    assert num_parameters(network) == 9
    expected = POINTS @ network.output.weight.T + network.output.bias
    torch.testing.assert_close(network(POINTS), expected)


def test_the_shortcut_network_of_lang_and_witbrock_has_138_weights() -> None:
    network = MLP(2, 1, [5, 5, 5], activation="sigmoid", dense_skip=True, generator=generator())
    assert num_parameters(network) == 138
    x = POINTS
    for block in network.hidden:
        x = torch.cat((x, (x @ block.linear.weight.T + block.linear.bias).sigmoid()), dim=1)
    torch.testing.assert_close(network(POINTS), x @ network.output.weight.T + network.output.bias)


def blocks_by_hand(block: str, first: nn.Module, x: Tensor) -> Tensor:
    if block == "residual":
        return first.skip(x) + first.outer(first.inner(x).tanh())
    if block == "highway":
        gate = 1 / (1 + torch.exp(-first.gate(x)))
        return first.skip(x) + gate * (first.linear(x).tanh() - first.skip(x))
    if block == "glu":
        return first.linear(x) * first.gate(x).tanh()
    if block == "inception":
        one, two, three = ([layer.linear for layer in branch] for branch in first.branches)
        deep = three[2](three[1](three[0](x).tanh()).tanh()).tanh()
        return torch.cat((one[0](x).tanh(), two[1](two[0](x).tanh()).tanh(), deep), dim=1)
    return first.linear(x).tanh()


@pytest.mark.parametrize("widths", [[7], [2]])
@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_compute_their_formula(block: str, widths: list[int]) -> None:
    if block == "inception" and widths == [2]:
        with pytest.raises(ValueError, match="widths of inception blocks must be at least 3, but got 2"):
            MLP(2, 3, widths, block=block, generator=generator())
        return
    network = MLP(2, 3, widths, block=block, activation="tanh", generator=generator())
    torch.testing.assert_close(
        network(POINTS), network.output(blocks_by_hand(block, network.hidden[0], POINTS))
    )


def test_residual_and_highway_need_no_projection_between_equal_widths() -> None:
    # in → 8 has one (2·8 + 8 = 24 parameters), 8 → 8 has none
    assert num_parameters(MLP(2, 3, [8, 8], block="residual", generator=generator())) == 24 + 96 + 144 + 27
    assert num_parameters(MLP(2, 3, [8, 8], block="highway", generator=generator())) == 24 + 48 + 144 + 27


def test_highway_gates_start_mostly_closed() -> None:
    network = MLP(2, 3, [8], block="highway", initialization="he_normal", generator=generator())
    assert torch.equal(network.hidden[0].gate.bias, torch.full((8,), -1.0))


@pytest.mark.parametrize("dense_skip", [False, True])
@pytest.mark.parametrize("block", BLOCKS)
def test_stacked_networks_under_vmap_equal_the_single_ones(block: str, dense_skip: bool) -> None:
    networks = [
        MLP(2, 3, [6, 5], block=block, dense_skip=dense_skip, generator=generator(k)) for k in range(3)
    ]
    parameters, buffers = stack_module_state(networks)

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return functional_call(networks[0], (parameters, buffers), (POINTS,)).square().mean()

    stacked = vmap(grad(loss))(parameters, buffers)
    for k, network in enumerate(networks):
        network.zero_grad()
        network(POINTS).square().mean().backward()
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(stacked[name][k], parameter.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("activation", ["step", "sign_ste"])
def test_threshold_activations_train_only_with_a_straight_through_gradient(activation: str) -> None:
    network = MLP(2, 3, [6], activation=activation, generator=generator())
    network(POINTS).square().sum().backward()
    moves = bool(network.hidden[0].linear.weight.grad.abs().sum() > 0)
    assert moves == (activation == "sign_ste")


def test_building_leaves_the_global_stream_alone() -> None:
    before = torch.random.get_rng_state()
    MLP(2, 3, [6, 6], dropout=0.5, generator=generator())
    assert torch.equal(before, torch.random.get_rng_state())


def test_mistakes_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"block must be one of plain, .* Did you mean 'residual'\?"):
        MLP(2, 3, [4], block="residul", generator=generator())
    with pytest.raises(ValueError, match=r"widths must be positive, but got \[4, 0\]"):
        MLP(2, 3, [4, 0], generator=generator())
