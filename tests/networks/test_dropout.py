import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from gaplab.networks import MLP, Dropout, draw_dropout_masks


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


POINTS = torch.randn(16, 2, generator=generator(99))


def test_the_share_zeroed_is_the_rate_and_the_rest_keeps_the_mean() -> None:
    dropout = Dropout(100, 0.3)
    dropout.draw(1000, generator())
    output = dropout(torch.ones(1000, 100))
    assert float((output == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(output[output != 0].unique(), torch.tensor([1 / 0.7]))


def test_eval_mode_is_the_identity() -> None:
    dropout = Dropout(2, 0.9).eval()
    assert torch.equal(dropout(POINTS), POINTS)


def test_masks_depend_on_the_generator_only() -> None:
    networks = [MLP(2, 3, [8, 8], dropout=0.5, generator=generator(k)) for k in range(2)]
    torch.rand(3)
    for network in networks:
        draw_dropout_masks(network, 16, generator(5))
    first, second = (dict(network.named_buffers()) for network in networks)
    assert len(first) == 2
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(*first.values())


def test_a_batch_without_its_mask_is_refused() -> None:
    network = MLP(2, 3, [8], dropout=0.5, generator=generator())
    with pytest.raises(
        ValueError, match=r"mask has shape \(0, 8\), but the batch has \(16, 8\).*draw_dropout_masks"
    ):
        network(POINTS)
    draw_dropout_masks(network, 12, generator())
    with pytest.raises(ValueError, match=r"mask has shape \(12, 8\)"):
        network(POINTS)


def test_masks_stay_out_of_the_state_dict() -> None:
    network = MLP(2, 3, [8], dropout=0.5, generator=generator())
    draw_dropout_masks(network, 16, generator())
    assert not any("mask" in name for name in network.state_dict())


def test_stacked_masks_under_vmap_equal_the_single_networks() -> None:
    rates = [0.2, 0.5, 0.7]  # the rate is data, so it may differ from model to model
    networks = [MLP(2, 3, [8, 6], dropout=rate, generator=generator(k)) for k, rate in enumerate(rates)]
    for k, network in enumerate(networks):
        draw_dropout_masks(network, 16, generator(10 + k))
    parameters, buffers = stack_module_state(networks)

    def logits(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return functional_call(networks[0], (parameters, buffers), (POINTS,))

    stacked = vmap(logits)(parameters, buffers)
    for k, network in enumerate(networks):
        torch.testing.assert_close(stacked[k], network(POINTS))


def test_a_rate_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dropout rate must lie in \[0, 1\), but got 1\.0"):
        Dropout(3, 1.0)
