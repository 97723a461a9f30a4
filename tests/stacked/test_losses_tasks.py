"""Tasks written as ``losses`` as stacked models: equal to the runs alone, and what is refused with a reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import CohenKappa

from gaplab import register
from gaplab.config.compose import Composed, compose_config
from gaplab.config.registry import CHOICES
from gaplab.config.task import TaskConfig
from gaplab.runs.resume import plan_new
from gaplab.sweeps.grouping import group_key
from gaplab.sweeps.train_work import run_many
from gaplab.tasks.losses_task import LossesTask
from gaplab.train import run_one
from quick_runs import QUICK, set_once
from same_runs import assert_neighbours_do_not_matter, assert_same_run

WORDS = (
    *QUICK,
    "trainer.precision=64-true",
    "logging.pictures=false",
    "logging.subruns=never",
    "logging.diagnostics=none",
)


@dataclass(kw_only=True, slots=True)
class ShakenConfig(TaskConfig):
    kind: str = "plain"
    shake: float = 0.1


class Shaken(LossesTask):
    """Draws twice, has a buffer that training changes, and looks at the whole batch and at the step."""

    metrics = {"kappa": CohenKappa(task="multiclass", num_classes=3)}  # noqa: RUF012
    seen: Tensor

    def __init__(self, network: nn.Module, **settings: Any) -> None:
        super().__init__(network, **settings)
        self.register_buffer("seen", torch.zeros(()))

    def losses(self, batch: Any, generator: torch.Generator) -> Tensor:
        if self.section.kind == "drawn from tensors":
            return cross_entropy(
                self(batch.points * torch.bernoulli(batch.points.sigmoid(), generator=generator)),
                batch.labels,
                reduction="none",
            )
        noise = torch.randn(batch.global_batch_size, *batch.points.shape[1:], generator=generator)
        flips = batch.part(torch.rand(batch.global_batch_size, generator=generator)) < 0.1
        if self.training:
            self.seen = self.seen + len(batch.labels)
        seen = batch.points + self.section.shake * batch.part(noise).to(batch.points)
        losses = cross_entropy(
            self(seen), torch.where(flips, (batch.labels + 1) % 3, batch.labels), reduction="none"
        )
        return losses + (batch.step % 3) * (losses - losses.mean()).square()

    def score(self, batch: Any) -> dict[str, Tensor]:
        return {"margin": self(batch.points).amax(1)}


class Stepping(Shaken):
    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Spare(Shaken):
    def __init__(self, network: nn.Module, **settings: Any) -> None:
        super().__init__(network, **settings)
        self.spare = nn.Parameter(torch.ones(2))


@pytest.fixture(autouse=True)
def brought() -> Iterator[None]:
    yield
    CHOICES["task"].pop("shaken", None)


def compose(*words: str) -> Composed:
    return compose_config(set_once(*WORDS, *words))


REGRESSION = ("task=regression", "data=sine", "network.dropout=0.2", "optimizer.weight_decay=0.001")
AUTOENCODER = ("task=autoencoder", "task.noise=0.3", "optimizer=sgd", "optimizer.schedule=cosine")
SHAKEN = ("task=shaken", "optimizer.max_grad_norm=0.5")


@pytest.mark.parametrize("words", [REGRESSION, AUTOENCODER, SHAKEN], ids=lambda words: words[0])
def test_stacked_models_are_the_runs_alone(tmp_path: Path, words: tuple[str, ...]) -> None:
    """60 points in batches of 16: the last batch of an epoch has 12."""
    register("task", "shaken", ShakenConfig, Shaken.from_config)
    jobs = [
        compose(*words, f"seed={seed}", f"optimizer.lr={lr}")
        for seed, lr in ((1, 0.01), (2, 0.05), (3, 0.03))
    ]
    said: list[str] = []
    plans = [plan_new(job, tmp_path / "together" / str(number)) for number, job in enumerate(jobs)]
    objectives = run_many(plans, log=said.append)
    assert len(said) == 1, said
    for number, job in enumerate(jobs):
        alone = run_one(job, tmp_path / "alone" / str(number))
        assert alone.objective == pytest.approx(objectives[number], rel=0, abs=1e-8)
        assert_same_run(tmp_path / "together" / str(number), tmp_path / "alone" / str(number))
    if words is SHAKEN:
        saved = torch.load(tmp_path / "together" / "1" / "checkpoints" / "last.ckpt", weights_only=True)
        assert saved["state_dict"]["seen"] == 24 // 4 * 60


def test_neighbours_that_stop_do_not_matter(tmp_path: Path) -> None:
    """The first stops early, so that the stack becomes smaller."""
    jobs = [compose(*REGRESSION, f"seed={seed}") for seed in (1, 2, 3)]
    jobs[0] = compose(*REGRESSION, "seed=1", "trainer.early_stopping_patience=1", "optimizer.lr=2.0")
    assert_neighbours_do_not_matter(jobs, tmp_path)


def test_a_stop_and_a_continuation_change_nothing(tmp_path: Path, stop_at: Any) -> None:
    jobs = [compose(*AUTOENCODER, f"seed={seed}") for seed in (1, 2)]
    stop_at(8)
    with pytest.raises(BaseException, match="SIGTERM at step 8"):
        run_many([plan_new(job, tmp_path / "parts" / str(number)) for number, job in enumerate(jobs)])
    stop_at(None)
    again = [plan_new(job, tmp_path / "parts" / str(number)) for number, job in enumerate(jobs)]
    assert all(plan.checkpoint is not None for plan in again)
    run_many(again)
    run_one(jobs[1], tmp_path / "alone")
    assert_same_run(tmp_path / "parts" / "1", tmp_path / "alone")


@pytest.mark.parametrize(
    ("words", "task", "reason"),
    [
        (["task.kind='drawn from tensors'"], Shaken, "losses draws by bernoulli from tensors"),
        ([], Stepping, "Stepping has a configure_optimizers of its own"),
        ([], Spare, "the parameter task.spare is part of nothing that is computed"),
    ],
    ids=str,
)
def test_what_cannot_be_stacked_trains_alone_and_says_why(
    tmp_path: Path, words: list[str], task: type[LossesTask], reason: str
) -> None:
    register("task", "shaken", ShakenConfig, task.from_config)
    said: list[str] = []
    jobs = [compose("task=shaken", *words, f"seed={seed}", "trainer.max_steps=8") for seed in (1, 2)]
    plans = [plan_new(job, tmp_path / "together" / str(number)) for number, job in enumerate(jobs)]
    objectives = run_many(plans, log=said.append)
    assert f"Training 2 of 2 runs one by one: stacked training failed: {reason}" in said[1]
    assert run_one(jobs[1], tmp_path / "alone").objective == objectives[1]


def test_settings_that_a_loss_may_read_make_groups() -> None:
    register("task", "shaken", ShakenConfig, Shaken.from_config)
    keys = [group_key(compose(*SHAKEN, *more).config) for more in ((), ("task.shake=0.2",), ("seed=5",))]
    assert keys[0] == keys[2] != keys[1]
    assert group_key(compose(*SHAKEN, "data.num_points=48").config) != keys[0]
