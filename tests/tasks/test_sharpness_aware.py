"""Sharpness-aware steps against the definition, written out on a quadratic whose gradients are known."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from gaplab.config.compose import compose_config
from gaplab.config.optimizer import AdamConfig, SGDConfig
from gaplab.distributed.cluster_environment import RanksEnvironment
from gaplab.distributed.exact_ddp import ExactDDPStrategy
from gaplab.distributed.ranks import Ranks
from gaplab.errors import ConfigError
from gaplab.tasks.optimizers import build_optimizer
from gaplab.tasks.sharpness_aware import make_sharpness_aware

PAIR = Ranks(processes_per_node=2)


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


def test_an_optimizer_that_searches_along_a_line_is_refused() -> None:
    optimizer = torch.optim.LBFGS([nn.Parameter(torch.ones(2))], lr=1.0, line_search_fn="strong_wolfe")
    make_sharpness_aware(optimizer, 0.1)
    (p,) = optimizer.param_groups[0]["params"]

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = p.pow(4).sum()
        loss.backward()
        return loss.detach()

    with pytest.raises(ConfigError, match="looks at the loss once a step, but LBFGS searches"):
        optimizer.step(closure)


class Looking(torch.optim.SGD):
    """Of a user's own: notes the loss that it is shown."""

    seen: float

    def step(self, closure: Any = None) -> Any:
        self.seen = float(closure())
        return super().step()


@pytest.mark.parametrize("radius", [0.0, 0.1])
def test_an_own_optimizer_sees_the_loss_of_the_whole_batch_beside_sharp_steps(
    radius: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = nn.Parameter(torch.ones(1))
    optimizer = Looking([p], lr=0.1)
    if radius:
        make_sharpness_aware(optimizer, radius)
    strategy = ExactDDPStrategy(
        parallel_devices=[torch.device("cpu")] * 2, cluster_environment=RanksEnvironment(PAIR)
    )
    strategy._optimizers = [optimizer]
    monkeypatch.setattr(DDPStrategy, "setup_optimizers", lambda self, trainer: None)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda loss: loss.add_(3.0))  # of the other process
    strategy.setup_optimizers(Trainer(logger=False, accelerator="cpu"))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        p.sum().backward()
        return torch.ones(())

    optimizer.step(closure)
    assert optimizer.seen == 2.0
