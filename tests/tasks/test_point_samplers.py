"""Flow matching and diffusion: losses by hand, samplers of a law that is known, and runs judged like those of GANs."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from gaplab.builders import build_data_and_task
from gaplab.config.compose import Composed, compose_config
from gaplab.config.optimizer import AdamConfig
from gaplab.data.loader import Batch
from gaplab.errors import ConfigError
from gaplab.evaluate import evaluate
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_new
from gaplab.sweeps.train_work import run_many
from gaplab.tasks.diffusion import Diffusion
from gaplab.tasks.flow_matching import FlowMatching
from gaplab.train import run_one
from same_runs import assert_same_run

QUICK = (
    *("data=ring", "data.num_points=150", "data.num_val_points=100", "data.num_test_points=100"),
    *("data.batch_size=50", "network.widths=[7]", "task.num_samples=100", "task.sampling_steps=3"),
    *("trainer.max_steps=9", "trainer.eval_every_n_steps=3", "trainer.accelerator=cpu"),
    *("trainer.precision=64-true", "trainer.progress_bar=false"),
)


def compose(task: str, *words: str) -> Composed:
    return compose_config([f"task={task}", *QUICK, *words])


def test_loss_of_flow_matching_by_hand() -> None:
    data, task = build_data_and_task(compose("flow_matching").config)
    points = data.splits["train"].points[:5]
    whole = Batch(points, data.splits["train"].labels[:5], 0, 5, 0)
    draws = torch.Generator().manual_seed(3)
    noise, time = torch.randn(5, 2, generator=draws), torch.rand(5, 1, generator=draws)
    scaled = points / data.splits["train"].points.std()
    velocity = task.network(torch.cat([noise + time * (scaled - noise), time], dim=1))
    expected = ((velocity - scaled + noise) ** 2).mean(dim=1)
    found = task.losses(whole, torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    part = Batch(points[2:], whole.labels[2:], 2, 5, 0)
    torch.testing.assert_close(task.losses(part, torch.Generator().manual_seed(3)), found[2:])


def test_loss_of_diffusion_is_the_error_of_its_denoiser_by_the_weights_of_karras_et_al() -> None:
    data, task = build_data_and_task(compose("diffusion", "task.noise_levels=[0.1,5]").config)
    points = data.splits["train"].points[:6]
    draws = torch.Generator().manual_seed(3)
    noise, share = torch.randn(6, 2, generator=draws).to(points), torch.rand(6, 1, generator=draws).to(points)
    scaled, sigma = points / data.splits["train"].points.std(), 0.1 * 50**share
    noisy = scaled + sigma * noise
    found = task.network(torch.cat([noisy / (sigma**2 + 1) ** 0.5, sigma.log() / 4], dim=1))
    denoised = noisy / (sigma**2 + 1) + sigma / (sigma**2 + 1) ** 0.5 * found
    expected = ((sigma**2 + 1) / sigma**2 * (denoised - scaled) ** 2).mean(dim=1)
    batch = Batch(points, data.splits["train"].labels[:6], 0, 6, 0)
    torch.testing.assert_close(task.losses(batch, torch.Generator().manual_seed(3)), expected)


class GaussianResidual(nn.Module):
    """What the best denoiser of N(0.3, 0.01²) in one dimension leaves to its network."""

    def forward(self, inputs: Tensor) -> Tensor:
        sigma = (4 * inputs[:, 1:]).exp()
        noisy = inputs[:, :1] * (sigma**2 + 1).sqrt()
        denoised = (0.01**2 * noisy + sigma**2 * 0.3) / (0.01**2 + sigma**2)
        return (denoised - noisy / (sigma**2 + 1)) * (sigma**2 + 1).sqrt() / sigma


def test_diffusion_reaches_a_law_whose_denoiser_is_known() -> None:
    task = Diffusion(GaussianResidual(), optimizer=AdamConfig(), num_steps=1, train_seed=0).double()
    task.dimension = 1
    ends = []
    for steps in (20, 40, 80):
        task.section = SimpleNamespace(sampling_steps=steps, noise_levels=[0.0005, 20.0])
        ends.append(task.draw_samples(20_000, "test"))
    assert float(ends[-1].mean()) == pytest.approx(0.3, abs=0.0005)
    assert float(ends[-1].std()) == pytest.approx(0.01, rel=0.01)
    assert (ends[1] - ends[2]).std() < 0.4 * (ends[0] - ends[1]).std()  # second order


class GaussianVelocity(nn.Module):
    """The velocity of flows from N(0, 1) to N(2, 0.25) in one dimension."""

    def forward(self, inputs: Tensor) -> Tensor:
        x, t = inputs.unbind(dim=1)
        slope = (0.25 * t - (1 - t)) / ((1 - t) ** 2 + 0.25 * t**2)
        return (2 + slope * (x - 2 * t))[:, None]


def test_flow_matching_reaches_a_law_whose_velocity_is_known() -> None:
    task = FlowMatching(GaussianVelocity(), optimizer=AdamConfig(), num_steps=1, train_seed=0)
    task.dimension, task.section = 1, SimpleNamespace(sampling_steps=40)
    task.scale.fill_(3.0)
    samples = task.draw_samples(20_000, "test") / 3
    assert float(samples.mean()) == pytest.approx(2, abs=0.02)
    assert float(samples.std()) == pytest.approx(0.5, abs=0.01)
    ends = []
    for steps in (4, 40, 400):
        task.section.sampling_steps = steps
        ends.append(task.draw_samples(100, "order"))
    assert (ends[1] - ends[2]).abs().max() < 0.05 * (ends[0] - ends[2]).abs().max()  # second order


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("task", ["flow_matching", "diffusion"])
def test_alone_and_stacked_runs_are_one_and_are_judged_as_gans_are(task: str, tmp_path: Path) -> None:
    words = "network.fourier_features=5", "optimizer.lr=0.02", "data.std=0.1"
    jobs = [compose(task, words[0], "seed=1"), compose(task, *words, "seed=2")]
    sentences: list[str] = []
    run_many([plan_new(job, tmp_path / "both" / str(i)) for i, job in enumerate(jobs)], log=sentences.append)
    assert not any("one by one" in sentence for sentence in sentences)
    run_one(jobs[1], tmp_path / "alone")
    assert_same_run(tmp_path / "both" / "1", tmp_path / "alone")
    table = read_json(tmp_path / "alone" / "result.json")["last"]
    for name in ("judge/accuracy_test", "modes/center_offset", "distance/copying_ratio"):
        assert {name, f"ceiling/{name}"} <= table.keys()
    assert {"loss/train", "loss/test", "gap/loss"} <= table.keys()
    again = evaluate(tmp_path / "alone", "last")
    assert again == pytest.approx(table, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=flow_matching", "task.sampling_steps=0"], "task.sampling_steps: .*at least 1"),
        (["task=diffusion", "network.dropout=0.1"], "network.dropout: expected 0 for diffusion"),
        (["task=diffusion", "task.noise_levels=[1,0.1]"], "task.noise_levels: .*a larger one"),
        (["task=diffusion", "task.noise_levels=[1,inf]"], "task.noise_levels: .*finite"),
        (["task=flow_matching", "data.num_test_points=50"], "data.num_test_points: .*at least 100"),
        (["task=diffusion", "network.fourier_frequencies=[3,1]"], "network.fourier_frequencies: expected"),
    ],
)
def test_a_mistake_is_explained(words: list[str], message: str) -> None:
    kept = [word for word in QUICK if word.split("=")[0] not in {w.split("=")[0] for w in words}]
    with pytest.raises(ConfigError, match=message):
        compose_config([*kept, *words])
