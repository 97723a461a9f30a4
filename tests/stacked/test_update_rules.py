"""Stacked update rules against torch.optim, one model at a time."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from gaplab.stacked.update_rules import (
    RULES,
    OptimizerState,
    Params,
    initial_state,
    stack_hyperparameters,
    update_active,
)

SHAPES = {"weight": (7, 2), "bias": (7,), "gain": ()}
SETTINGS: dict[str, dict[str, list[float]]] = {
    "sgd": {"lr": [0.1, 0.03, 0.2], "weight_decay": [0.0, 0.1, 1e-3], "momentum": [0.0, 0.9, 0.5]},
    "adam": {
        "lr": [1e-3, 0.03, 0.1],
        "weight_decay": [0.0, 0.1, 1e-3],
        "beta1": [0.9, 0.5, 0.0],
        "beta2": [0.999, 0.9, 0.99],
        "eps": [1e-8, 1e-3, 1e-6],
    },
}
SETTINGS["adamw"] = SETTINGS["adam"]


def gradients(params: Mapping[str, Tensor], step: int) -> Params:
    """Gradients of a bumpy function; they depend on the parameters, so that mistakes feed back."""
    return {key: torch.sin(3 * p + step) + 0.1 * p for key, p in params.items()}


def start(num_models: int, dtype: torch.dtype) -> Params:
    generator = torch.Generator().manual_seed(3)
    return {
        key: torch.randn(num_models, *shape, dtype=torch.float64, generator=generator).to(dtype)
        for key, shape in SHAPES.items()
    }


def train_alone(rule: str, index: int, dtype: torch.dtype, steps: int) -> Params:
    """Model `index` of the three with torch's own optimizer."""
    params = {key: p[index].clone().requires_grad_() for key, p in start(3, dtype).items()}
    s = {name: values[index] for name, values in SETTINGS[rule].items()}
    if rule == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(params.values(), foreach=False, **s)
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[rule]
        betas = (s.pop("beta1"), s.pop("beta2"))
        optimizer = kind(params.values(), betas=betas, foreach=False, **s)
    for step in range(steps):
        with torch.no_grad():
            current = gradients(params, step)
        for key, p in params.items():
            p.grad = current[key]
        optimizer.step()
    return {key: p.detach() for key, p in params.items()}


def train_stacked(rule: str, models: list[int], dtype: torch.dtype, steps: int) -> Params:
    params = {key: p[models] for key, p in start(3, dtype).items()}
    chosen = {name: [values[i] for i in models] for name, values in SETTINGS[rule].items()}
    hyper = stack_hyperparameters(rule, len(models), chosen)
    state = initial_state(rule, params)
    for step in range(steps):
        params, state = RULES[rule](params, gradients(params, step), state, hyper)
    return params


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 0.0)])
def test_each_model_follows_torch_optim(rule: str, dtype: torch.dtype, tolerance: float) -> None:
    stacked = train_stacked(rule, [0, 1, 2], dtype, 50)
    for index in range(3):
        for key, expected in train_alone(rule, index, dtype, 50).items():
            torch.testing.assert_close(stacked[key][index], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw"])
def test_a_model_does_not_depend_on_its_neighbours(rule: str) -> None:
    together = train_stacked(rule, [0, 1, 2], torch.float32, 20)
    alone = train_stacked(rule, [1], torch.float32, 20)
    for key in SHAPES:
        assert torch.equal(together[key][1], alone[key][0])


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw"])
def test_a_stopped_model_keeps_every_bit_even_if_its_gradient_is_nan(rule: str) -> None:
    params, hyper = start(3, torch.float32), stack_hyperparameters(rule, 3, SETTINGS[rule])
    state = initial_state(rule, params)
    params, state = RULES[rule](params, gradients(params, 0), state, hyper)
    grads = gradients(params, 1)
    for g in grads.values():
        g[1] = torch.nan
    active = torch.tensor([True, False, True])
    after, after_state = update_active(RULES[rule], params, grads, state, hyper, active)
    everyone, everyone_state = RULES[rule](params, grads, state, hyper)

    def assert_selected(masked: Params, free: Params, before: Params) -> None:
        for key in SHAPES:
            assert torch.equal(masked[key][1], before[key][1])
            assert torch.equal(masked[key][[0, 2]], free[key][[0, 2]])
            assert not torch.equal(masked[key][[0, 2]], before[key][[0, 2]])

    assert_selected(after, everyone, params)
    for name, buffer in after_state.buffers.items():
        assert_selected(buffer, everyone_state.buffers[name], state.buffers[name])
    assert after_state.steps.tolist() == [2, 1, 2]


def test_two_steps_of_adam_by_hand() -> None:
    """With a constant gradient both corrected moments are exact: every step is lr * sign, eps aside."""
    params = {"w": torch.tensor([[1.0], [1.0]], dtype=torch.float64)}
    hyper = stack_hyperparameters("adam", 2, {"lr": [0.1, 0.2], "eps": 0.0})
    state: OptimizerState = initial_state("adam", params)
    grads = {"w": torch.tensor([[5.0], [-0.25]], dtype=torch.float64)}
    for _ in range(2):
        params, state = RULES["adam"](params, grads, state, hyper)
    torch.testing.assert_close(params["w"].flatten(), torch.tensor([0.8, 1.4], dtype=torch.float64))


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        ("lbfgs", {"lr": 0.1}, "must be one of sgd, nesterov, adam, adamw"),
        ("adam", {}, "lr is missing"),
        ("sgd", {"lr": 0.1, "beta1": 0.9}, "has no setting beta1"),
        ("sgd", {"lr": [0.1, 0.2, 0.3]}, "lr needs one value or 2"),
        ("sgd", {"lr": [0.1, -0.2]}, "lr must be finite and at least 0"),
        ("adam", {"lr": 0.1, "beta2": 1.0}, r"beta2 must lie in \[0, 1\)"),
    ],
)
def test_mistakes_are_named(rule: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stack_hyperparameters(rule, 2, settings)
