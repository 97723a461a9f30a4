"""One optimiser step: schedules, clipping, weight decay, and a run against a bare PyTorch loop."""

import math
import types
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LinearLR, LRScheduler

from gaplab.builders import build_data_and_task, build_trainer
from gaplab.config.compose import compose_config
from gaplab.config.optimizer import AdamConfig, AdamWConfig, LBFGSConfig, OptimizerConfig, Schedule, SGDConfig
from gaplab.errors import DivergedError
from gaplab.networks import draw_dropout_masks
from gaplab.randomness import epoch_order, make_generator
from gaplab.tasks.classifier import Classifier
from gaplab.tasks.optimizers import (
    build_optimizer,
    build_schedule,
    l2_penalty,
    reapply_hparams,
    schedule_factor,
)
from gaplab.train import run_one
from quick_runs import Compose

STEPS = 20


def rates(optimizer: Optimizer, schedule: LRScheduler | None) -> list[float]:
    """Learning rates of the first steps."""
    seen = []
    for _ in range(STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return seen


@pytest.mark.parametrize(
    ("config", "witness"),
    [
        (SGDConfig(lr=0.3, schedule=Schedule.cosine), lambda opt: CosineAnnealingLR(opt, T_max=STEPS)),
        (SGDConfig(lr=0.3, schedule=Schedule.linear), lambda opt: LinearLR(opt, 1.0, 0.0, STEPS)),
        (SGDConfig(lr=0.3, schedule=Schedule.exponential, lr_gamma=0.9), lambda opt: ExponentialLR(opt, 0.9)),
        (SGDConfig(lr=0.3), lambda opt: None),
    ],
)
def test_schedules_are_those_of_torch(config: OptimizerConfig, witness: object) -> None:
    def optimizer() -> Optimizer:
        weight = nn.Parameter(torch.zeros(1))
        weight.grad = torch.zeros(1)
        return build_optimizer(config, [weight])

    ours, theirs = optimizer(), optimizer()
    assert callable(witness)
    expected = rates(theirs, witness(theirs))
    assert rates(ours, build_schedule(config, ours, STEPS)) == pytest.approx(expected, abs=1e-12)


def test_warmup_rises_from_zero_and_then_the_schedule_begins() -> None:
    config = SGDConfig(lr=1.0, warmup_steps=4, schedule=Schedule.cosine)
    factors = [schedule_factor(config, step, 24) for step in range(25)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    late = SGDConfig(lr=1.0, schedule=Schedule.cosine)
    assert factors[4:] == [schedule_factor(late, step, 20) for step in range(21)]
    assert factors[24] == pytest.approx(0.0, abs=1e-15)
    assert [schedule_factor(SGDConfig(warmup_steps=2), step, 9) for step in range(4)] == [0.5, 1, 1, 1]


@pytest.mark.parametrize(
    ("config", "kind"),
    [(SGDConfig(), SGD), (AdamConfig(), Adam), (AdamWConfig(), AdamW), (LBFGSConfig(), LBFGS)],
)
def test_each_section_gives_its_optimizer(config: OptimizerConfig, kind: type) -> None:
    optimizer = build_optimizer(config, nn.Linear(2, 3).parameters())
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["lr"] == config.lr


def test_biases_decay_unless_they_are_spared() -> None:
    for spare, expected in ((False, (0.95, 0.95)), (True, (0.95, 1.0))):
        layer = nn.Linear(2, 3)
        nn.init.ones_(layer.weight)
        nn.init.ones_(layer.bias)
        config = SGDConfig(lr=0.1, weight_decay=0.5, weight_decay_on_bias=not spare)
        for parameter in layer.parameters():
            parameter.grad = torch.zeros_like(parameter)
        penalty = 0.5 * 0.5 * (6 if spare else 9)
        assert l2_penalty(config, layer) == pytest.approx(penalty)
        build_optimizer(config, layer.parameters()).step()
        assert float(layer.weight.detach().mean()) == pytest.approx(expected[0])
        assert float(layer.bias.detach().mean()) == pytest.approx(expected[1])
    assert l2_penalty(AdamWConfig(weight_decay=0.5), layer) == 0.0, "decoupled decay is no penalty"


@pytest.mark.parametrize("max_grad_norm", [None, 0.5, 100.0])
def test_clipping_bounds_the_norm_of_the_whole_gradient(max_grad_norm: float | None, quick: Compose) -> None:
    _, task = build_data_and_task(quick().config)
    assert isinstance(task, Classifier)
    task.optimizer_config.max_grad_norm = max_grad_norm
    parameters = list(task.network.parameters())
    for parameter, value in zip(parameters, (3.0, 4.0), strict=False):
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad.view(-1)[0] = value
    task.configure_gradient_clipping(SGD(parameters))
    gradient = torch.cat([weight.grad.flatten() for weight in parameters if weight.grad is not None])
    norm = 5.0 if max_grad_norm is None else min(max_grad_norm, 5.0)
    assert float(gradient.norm()) == pytest.approx(norm, rel=1e-5)
    first, second = gradient[gradient != 0].tolist()
    assert first / second == pytest.approx(0.75)


def test_lbfgs_solves_a_least_squares_problem() -> None:
    generator = make_generator(0, "problem")
    matrix, target = torch.randn(20, 4, generator=generator), torch.randn(20, generator=generator)
    weight = nn.Parameter(torch.zeros(4))
    optimizer = build_optimizer(LBFGSConfig(), [weight])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (matrix @ weight - target).square().mean()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert torch.allclose(weight.detach(), torch.linalg.lstsq(matrix, target).solution, atol=1e-4)


def test_restored_hyperparameters_give_way_to_the_configured_ones() -> None:
    layer = nn.Linear(2, 3)
    old, new = AdamConfig(lr=0.1), AdamConfig(lr=0.01, weight_decay=0.5, beta1=0.5, schedule=Schedule.linear)
    optimizer = build_optimizer(old, layer.parameters())
    schedule = build_schedule(new, optimizer, 10)
    assert schedule is not None
    optimizer.step()
    for _ in range(5):
        schedule.step()
    reapply_hparams(new, optimizer, schedule)
    group = optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(0.005)
    assert (group["weight_decay"], group["betas"]) == (0.5, (0.5, 0.999))
    schedule.step()
    assert group["lr"] == pytest.approx(0.004)


def test_a_restored_state_has_the_types_that_were_saved() -> None:
    layers = [nn.Linear(2, 3).double() for _ in range(2)]
    config = compose_config(["optimizer=torch", "optimizer.name=NAdam"]).config.optimizer
    old, new = (build_optimizer(config, layer.parameters()) for layer in layers)
    layers[0](torch.ones(1, 2).double()).sum().backward()
    old.step()
    new.load_state_dict(old.state_dict())
    for ours, theirs in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        types = {name: value.dtype for name, value in old.state[ours].items()}
        assert types["mu_product"] is torch.float32
        assert {name: value.dtype for name, value in new.state[theirs].items()} == types
        assert all(torch.equal(value, new.state[theirs][name]) for name, value in old.state[ours].items())


CASES = {
    "minibatches": [],
    "full batch": ["data.batch_size=null", "optimizer=sgd", "optimizer.momentum=0.9"],
    "clipped": ["optimizer.max_grad_norm=0.1", "optimizer=adamw"],
    "scheduled": ["optimizer.schedule=cosine", "optimizer.warmup_steps=3", "optimizer.lr=0.05"],
    "dropout": ["network.widths=[8,8]", "network.dropout=0.5"],
    "smoothed": ["task.label_smoothing=0.2"],
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_equals_a_bare_loop_bit_for_bit(case: str, quick: Compose) -> None:
    config = quick(*CASES[case]).config
    data, task = build_data_and_task(config)
    build_trainer(config, callbacks=[], loggers=[]).fit(task, datamodule=data)

    _, other = build_data_and_task(config)
    network = other.network
    assert isinstance(network, nn.Module)
    network.train()
    points, labels = data.splits["train"].points, data.splits["train"].labels
    section = config.optimizer
    kind = {"sgd": SGD, "adam": Adam, "adamw": AdamW}[type(section).__name__.removesuffix("Config").lower()]
    extra = {"momentum": 0.9} if kind is SGD else {}
    optimizer = kind(network.parameters(), lr=section.lr, weight_decay=section.weight_decay, **extra)
    size = config.data.batch_size or len(labels)
    step = 0
    for epoch in range(100):
        order = epoch_order(len(labels), config.train_seed, epoch) if size < 60 else torch.arange(60)
        for chosen in order.split(size):
            if step == config.num_steps:
                break
            if case == "dropout":
                draw_dropout_masks(network, len(chosen), make_generator(config.train_seed, "dropout", step))
            if case == "scheduled":
                for group in optimizer.param_groups:
                    rise = (step + 1) / 3
                    fall = 0.5 * (1 + math.cos(math.pi * (step - 3) / (config.num_steps - 3)))
                    group["lr"] = section.lr * (rise if step < 3 else fall)
            optimizer.zero_grad()
            smoothing = 0.2 if case == "smoothed" else 0.0
            losses = functional.cross_entropy(
                network(points[chosen]), labels[chosen], label_smoothing=smoothing, reduction="none"
            )
            (losses.sum() / len(chosen)).backward()
            if case == "clipped":
                nn.utils.clip_grad_norm_(network.parameters(), 0.1)
            optimizer.step()
            step += 1
    assert isinstance(task.network, nn.Module)
    for ours, theirs in zip(task.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_loss_that_is_not_finite_names_its_step(quick: Compose, tmp_path: Path) -> None:
    composed = quick(
        "optimizer=sgd", "optimizer.lr=1e30", "network.widths=[8,8]", "network.activation=identity"
    )
    with pytest.raises(DivergedError, match="the loss is not finite at step") as caught:
        run_one(composed, tmp_path / "run")
    # The first step whose loss is not finite in a bare loop over the same batches.
    data, task = build_data_and_task(composed.config)
    data.trainer = types.SimpleNamespace(
        global_rank=0, world_size=1, global_step=0, accumulate_grad_batches=1
    )  # type: ignore[assignment]
    network = task.network
    assert isinstance(network, nn.Module)
    optimizer = SGD(network.parameters(), lr=1e30)
    for batch in data.train_dataloader():
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(batch.points), batch.labels)
        if not math.isfinite(float(loss.detach())):
            break
        loss.backward()
        optimizer.step()
    assert caught.value.step == batch.step
    assert "optimizer.lr" in caught.value.advice
