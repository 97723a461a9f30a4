"""Gradient norms, dead units, histograms, profiler."""

import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from gaplab.callbacks.diagnostics import gradient_norms
from gaplab.networks import MLP
from gaplab.networks.hidden_outputs import dead_share, hidden_outputs
from gaplab.train import run_one
from quick_runs import DRAWN, Compose


def make_network(widths: list[int]) -> MLP:
    return MLP(2, 3, widths, generator=torch.Generator().manual_seed(0))


def test_gradient_norm_of_a_layer_is_that_of_its_weights_and_biases() -> None:
    network = nn.Sequential(nn.Linear(2, 1, bias=True))
    network(torch.tensor([[3.0, 4.0]])).sum().backward()  # gradient (3, 4) and, for the bias, 1
    assert gradient_norms(network) == {"0": pytest.approx(26**0.5)}
    network.zero_grad()
    assert gradient_norms(network) == {}


def test_hidden_outputs_are_those_of_the_blocks_and_leave_no_trace() -> None:
    network = make_network([5, 4])
    network.train()
    points = torch.randn(7, 2, generator=torch.Generator().manual_seed(1))
    outputs = hidden_outputs(network, network, points)
    first = network.hidden[0](points)
    torch.testing.assert_close(outputs["hidden.0"], first)
    torch.testing.assert_close(outputs["hidden.1"], network.hidden[1](first))
    assert list(outputs) == ["hidden.0", "hidden.1"]
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())


def test_units_that_never_fire_are_dead() -> None:
    network = make_network([4])
    with torch.no_grad():
        network.hidden[0].linear.bias[:3] = -100.0
        network.hidden[0].linear.bias[3] = 100.0
    outputs = hidden_outputs(network, network, torch.randn(50, 2))["hidden.0"]
    assert dead_share(outputs) == 0.75


def test_light_diagnostics_are_logged_at_every_measurement(finished_run: Path) -> None:
    events = EventAccumulator(str(finished_run)).Reload()
    for tag in ("gradient_norm/hidden.0.linear", "gradient_norm/output", "dead_units/hidden.0"):
        assert [point.step for point in events.Scalars(tag)] == [8, 16, 24]
    assert min(point.value for point in events.Scalars("gradient_norm/output")) > 0
    assert not events.Tags()["histograms"]


def test_full_diagnostics_add_histograms_and_every_picture(quick: Compose, tmp_path: Path) -> None:
    run_one(quick("logging.diagnostics=full", *DRAWN), tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run"), {"images": 0, "histograms": 0}).Reload()
    weights = events.Histograms("weights/hidden.0.linear.weight")
    assert [point.step for point in weights] == [8, 16, 24]
    assert weights[-1].histogram_value.num == 16  # two inputs, eight units
    assert events.Histograms("activations/hidden.0")[-1].histogram_value.num == 60 * 8
    assert [image.step for image in events.Images("pictures/7_loss_landscape")] == [16, 24]


def test_without_diagnostics_neither_norms_nor_dead_units_are_written(quick: Compose, tmp_path: Path) -> None:
    run_one(quick("logging.diagnostics=none"), tmp_path / "run")
    tags = EventAccumulator(str(tmp_path / "run")).Reload().Tags()
    assert not [tag for tag in tags["scalars"] if tag.startswith(("gradient_norm", "dead_units"))]
    assert not tags["images"]


@pytest.mark.filterwarnings("ignore:.*[Pp]rofiler.*")
def test_profiler_preset_leaves_a_trace_and_a_table(quick: Compose, tmp_path: Path) -> None:
    # As the experiment and the presets do not compose with each other's step counts, only the key is set.
    run_one(quick("trainer.profiler=true", "trainer.max_steps=80"), tmp_path / "run")
    trace = json.loads((tmp_path / "run" / "trace.json").read_text())
    names = {event.get("name") for event in trace["traceEvents"]}
    assert "aten::addmm" in names
    table = (tmp_path / "run" / "profile.txt").read_text()
    # Which of them are the dearest depends on what else the machine does.
    operators = [line.split()[0] for line in table.splitlines() if line.strip().startswith("aten::")]
    assert operators
    assert set(operators) <= names
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert "run/profile/text_summary" in events.Tags()["tensors"]
