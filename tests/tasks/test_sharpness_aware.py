"""Sharpness-aware steps against the definition, written out on a quadratic whose gradients are known."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from gaplab.config.compose import compose_config
from gaplab.config.optimizer import AdamConfig, SGDConfig
from gaplab.errors import ConfigError
from gaplab.tasks.optimizers import build_optimizer


def test_a_step_descends_by_the_gradient_uphill() -> None:
    hessian = torch.tensor([[3.0, 1.0], [1.0, 2.0]])
    start = torch.tensor([1.0, -2.0])
    w, b = nn.Parameter(start.clone()), nn.Parameter(torch.tensor([0.5]))
    optimizer = build_optimizer(SGDConfig(lr=0.1, sharpness_radius=0.3), [w, b])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = 0.5 * w @ hessian @ w + 2 * b.square().sum()
        loss.backward()
        return loss.detach()

    gradient = torch.cat([hessian @ start, torch.tensor([4 * 0.5])])
    uphill = torch.cat([start, torch.tensor([0.5])]) + 0.3 * gradient / gradient.norm()
    loss = optimizer.step(closure)
    assert torch.allclose(w, start - 0.1 * hessian @ uphill[:2])
    assert torch.allclose(b, 0.5 - 0.1 * 4 * uphill[2:])
    expected = 0.5 * uphill[:2] @ hessian @ uphill[:2] + 2 * uphill[2] ** 2
    assert float(loss) == pytest.approx(float(expected), rel=1e-6), "the loss that is minimised, at the top"


def test_states_and_groups_are_those_of_the_optimiser_and_a_schedule_moves_it() -> None:
    optimizer = build_optimizer(AdamConfig(sharpness_radius=0.1), [nn.Parameter(torch.ones(2))])
    assert isinstance(optimizer, torch.optim.Adam)
    schedule = LambdaLR(optimizer, lambda step: 0.5**step)
    (p,) = optimizer.param_groups[0]["params"]

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss.detach()

    optimizer.step(closure)
    schedule.step()
    state = optimizer.state_dict()
    assert state["param_groups"][0]["lr"] == pytest.approx(0.005)
    assert state["state"][0]["step"] == 1
    twin = build_optimizer(AdamConfig(sharpness_radius=0.1), [nn.Parameter(torch.ones(2))])
    twin.load_state_dict(state)
    with pytest.raises(ConfigError, match="twice"):
        twin.step()


@pytest.mark.parametrize(
    "words",
    [
        "optimizer.sharpness_radius=-1",
        "optimizer=lbfgs optimizer.sharpness_radius=0.1",
        "optimizer.sharpness_radius=0.1 trainer.accumulate_grad_batches=2",
        "task=gan data=ring optimizer.sharpness_radius=0.1",
    ],
)
def test_where_it_has_no_meaning_it_is_refused(words: str) -> None:
    with pytest.raises(ConfigError, match="sharpness_radius"):
        compose_config(words.split())
