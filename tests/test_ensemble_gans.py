"""GANs trained as stacked models against the same runs trained one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gaplab.config.compose import Composed, compose_config
from gaplab.many import run_many
from gaplab.runs.opening import plan_new
from gaplab.study import run_one
from test_ensemble_runs import assert_same_run

QUICK = (
    "task=generation",
    "data=ring",
    "data.num_points=120",
    "data.num_val_points=100",
    "data.num_test_points=100",
    "data.batch_size=24",
    "task.generator.widths=[5]",
    "task.discriminator.widths=[6]",
    "task.num_samples=100",
    "optimizer.lr=0.002",
    "trainer.max_steps=12",
    "trainer.eval_every_n_steps=6",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "trainer.precision=64-true",
    "logging.pictures=false",
    "logging.subruns=never",
)
MIXED = (
    ("seed=1",),
    ("seed=2", "optimizer.lr=0.003", "optimizer.schedule=cosine", "task.r1=0.5", "task.ema=0.9"),
    ("seed=3", "data.num_points=101", "optimizer.beta1=0.5", "task.penalty_final_factor=0.01"),
    ("data_seed=4", "optimizer.weight_decay=0.01", "optimizer.decay_biases=false", "data.scaling=wgan_gp"),
    ("init_seed=5", "task.r2=2", "optimizer.warmup_steps=5", "task.generator.gain=2", "data.std=0.1"),
)


def compose(*overrides: str) -> Composed:
    keys = {word.split("=")[0] for word in overrides}
    return compose_config([*(word for word in QUICK if word.split("=")[0] not in keys), *overrides])


def train_both(
    folder: Path, jobs: Sequence[Sequence[str]], compared: Sequence[int], **options: Any
) -> list[float]:
    """Train the jobs together, and those numbered in ``compared`` alone; compare everything they leave."""
    composed = [compose(*job) for job in jobs]
    plans = [plan_new(one, folder / "together" / str(i)) for i, one in enumerate(composed)]
    objectives = run_many(plans, **options, say=pytest.fail)
    for index in compared:
        run_one(composed[index], folder / "alone" / str(index))
        assert_same_run(folder / "together" / str(index), folder / "alone" / str(index))
    return objectives


def test_a_mixed_grid_after_200_steps(tmp_path: Path) -> None:
    jobs = [(*job, "trainer.max_steps=200", "trainer.eval_every_n_steps=100") for job in MIXED]
    train_both(tmp_path, jobs, range(len(jobs)))
