"""Flow matching: its loss by hand, its sampler on a law whose velocity is known, and runs judged like those of GANs."""

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
from gaplab.tasks.flow_matching import FlowMatching
from gaplab.train import run_one
from same_runs import assert_same_run

QUICK = (
    *(
        "task=flow_matching",
        "data=ring",
        "data.num_points=150",
        "data.num_val_points=100",
        "data.num_test_points=100",
    ),
    *("data.batch_size=50", "network.widths=[7]", "task.num_samples=100", "task.sampling_steps=3"),
    *("trainer.max_steps=9", "trainer.eval_every_n_steps=3", "trainer.accelerator=cpu"),
    *("trainer.precision=64-true", "trainer.progress_bar=false"),
)


def compose(*words: str) -> Composed:
    return compose_config([*QUICK, *words])


def test_loss_by_hand() -> None:
    data, task = build_data_and_task(compose().config)
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


class GaussianVelocity(nn.Module):
    """The velocity of flows from N(0, 1) to N(2, 0.25) in one dimension."""

    def forward(self, inputs: Tensor) -> Tensor:
        x, t = inputs.unbind(dim=1)
        slope = (0.25 * t - (1 - t)) / ((1 - t) ** 2 + 0.25 * t**2)
        return (2 + slope * (x - 2 * t))[:, None]


def test_the_sampler_reaches_a_law_whose_velocity_is_known() -> None:
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
def test_alone_and_stacked_runs_are_one_and_are_judged_as_gans_are(tmp_path: Path) -> None:
    jobs = [compose("seed=1"), compose("seed=2", "optimizer.lr=0.02", "data.std=0.1")]
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
        (["task.sampling_steps=0"], "task.sampling_steps: .*at least 1"),
        (["network.dropout=0.1"], "network.dropout: expected 0 for flow matching"),
        (["data.num_test_points=50"], "data.num_test_points: .*at least 100"),
    ],
)
def test_a_mistake_is_explained(words: list[str], message: str) -> None:
    kept = [word for word in QUICK if word.split("=")[0] not in {w.split("=")[0] for w in words}]
    with pytest.raises(ConfigError, match=message):
        compose_config([*kept, *words])
