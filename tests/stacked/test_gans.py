"""GANs trained as stacked models against the same runs trained one by one."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaplab.builders.load_run import load_run
from gaplab.config.compose import Composed, compose_config
from gaplab.errors import DivergedError
from gaplab.evaluate import evaluate
from gaplab.runs.resume import Plan, plan_new, plan_resumption
from gaplab.stacked.compile import has_compiler
from gaplab.stacked.stacked_runs import StackedRuns
from gaplab.sweeps.grouping import obstacle
from gaplab.sweeps.train_work import run_many
from gaplab.train import run_one, run_planned
from running import TRAIN, finished, points
from same_runs import assert_neighbours_do_not_matter, assert_same_run

pytestmark = pytest.mark.usefixtures("few_draws")

QUICK = (
    "task=gan",
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
    (
        "data_seed=4",
        "optimizer.weight_decay=0.01",
        "optimizer.weight_decay_on_bias=false",
        "data.scaling=wgan_gp",
    ),
    ("init_seed=5", "task.r2=2", "optimizer.warmup_steps=5", "task.generator.gain=2", "data.std=0.1"),
)


def all_are_stacked(sentence: str) -> None:
    assert "one by one" not in sentence, sentence


def run_stacked(plans: Sequence[Plan], **options: Any) -> list[float]:
    """Train plans as one chunk if it is a single one, which ``run_many`` would not stack."""
    if len(plans) > 1:
        return run_many(plans, **options, log=all_are_stacked)
    (result,) = StackedRuns(plans, width=1).train()
    return [math.nan if result is None else result.objective]


def compose(*overrides: str) -> Composed:
    keys = {word.split("=")[0] for word in overrides}
    return compose_config([*(word for word in QUICK if word.split("=")[0] not in keys), *overrides])


def train_both(
    folder: Path, jobs: Sequence[Sequence[str]], compared: Sequence[int], **options: Any
) -> list[float]:
    """Train the jobs together, and those numbered in ``compared`` alone; compare everything they leave."""
    composed = [compose(*job) for job in jobs]
    plans = [plan_new(one, folder / "together" / str(i)) for i, one in enumerate(composed)]
    objectives = run_stacked(plans, **options)
    for index in compared:
        run_one(composed[index], folder / "alone" / str(index))
        assert_same_run(folder / "together" / str(index), folder / "alone" / str(index))
    return objectives


def test_a_mixed_grid_after_many_steps(tmp_path: Path) -> None:
    jobs = [(*job, "trainer.max_steps=60", "trainer.eval_every_n_steps=30") for job in MIXED]
    train_both(tmp_path, jobs, range(len(jobs)))


@pytest.mark.parametrize(
    "job",
    [
        ("task.label_embedding=2", "task.pack=2", "task.discriminator_steps=3", "trainer.max_steps=14"),
        ("task.loss=wasserstein", "task.gradient_penalty=1", "task.r1=0", "task.r2=0", "task.pack=2"),
        (
            *("task.loss=hinge", "task.clip_weights=0.2", "task.latent=uniform", "task.latent_size=3"),
            *("task.pack=2", "task.fourier_features=3", "task.discriminator.activation=leaky_relu"),
        ),
        (
            *("task.loss=non_saturating", "task.r2=0", "optimizer.max_grad_norm=0.05", "task.ema=0"),
            *("optimizer@task.discriminator_optimizer=sgd", "task.discriminator_optimizer.momentum=0.5"),
        ),
        (
            *("task.loss=minimax", "data.batch_size=null", "optimizer=adamw", "data=spirals"),
            "task.discriminator.activation=tanh",
        ),
        (
            *("task.fourier_features=7", "task.fourier_amplitude=[[0.2,0],[0.6,1]]", "task.latent_coins=3"),
            *("task.penalty_knots=[[0,0.3],[1,0.001]]", "optimizer.schedule=knots", "task.label_embedding=2"),
            *("optimizer.lr_knots=[[0,1],[0.5,0.1],[1,0.01]]", "task.rejection_quantile=0.9"),
        ),
        (
            *("task.penalty_every_n_steps=3", "task.gradient_penalty=1", "task.discriminator_steps=2"),
            *("task.pack=2", "task.penalty_final_factor=0.01"),
        ),
        (
            *("task.simultaneous=true", "task.penalty_every_n_steps=3", "task.fourier_features=3"),
            *("task.latent_coins=3", "task.pack=2", "task.discriminator_steps=2", "trainer.max_steps=13"),
        ),
        (
            *("task.simultaneous=true", "task.gradient_penalty=1", "task.loss=non_saturating"),
            *("optimizer.max_grad_norm=0.05", "task.label_embedding=2"),
        ),
        ("task.simultaneous=true", "task.r1=0", "task.r2=0", "task.loss=hinge", "task.clip_weights=0.2"),
    ],
)
def test_other_games(tmp_path: Path, job: tuple[str, ...]) -> None:
    other = ("optimizer.lr=0.004", "data.num_points=114") if "data.batch_size=null" not in job else ()
    train_both(tmp_path, [("seed=1", *job), ("seed=2", *job, *other)], [1])


def test_spectral_norm_says_why_it_is_not_stacked() -> None:
    assert "task.spectral_norm improves its estimates" in str(
        obstacle(compose("task.spectral_norm=true").config)
    )
    assert obstacle(compose().config) is None


@pytest.mark.parametrize(("num_models", "max_models"), [(1, 64), (2, 1), (5, 2)])
def test_any_number_of_models(tmp_path: Path, num_models: int, max_models: int) -> None:
    jobs = [(f"seed={seed}", "trainer.max_steps=4", "data.num_points=100") for seed in range(num_models)]
    objectives = train_both(tmp_path, jobs, [num_models - 1], max_models=max_models)
    assert len(set(objectives)) == num_models


def test_neighbours_and_chunks_do_not_matter(tmp_path: Path) -> None:
    assert_neighbours_do_not_matter([compose(*job) for job in MIXED], tmp_path)


def test_single_precision_agrees_to_a_few_parts_in_ten_thousand(tmp_path: Path) -> None:
    # Not relativistic: biases that only shift all scores would follow the sign of rounding errors in Adam.
    words = ("trainer.precision=32-true", "task.loss=non_saturating")
    composed = [compose(*job, *words) for job in MIXED[:3]]
    run_many([plan_new(one, tmp_path / "together" / str(i)) for i, one in enumerate(composed)])
    run_one(composed[2], tmp_path / "alone")
    ours, theirs = (
        state_of(path)["state_dict"] for path in (tmp_path / "together" / "2", tmp_path / "alone")
    )
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=3e-4)


def state_of(path: Path) -> Any:
    return torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)


def test_early_stopping_keeps_the_weights(tmp_path: Path) -> None:
    patient = ("trainer.max_steps=30", "trainer.eval_every_n_steps=3", "trainer.early_stopping_patience=1")
    jobs = [(f"seed={seed}", *patient, "optimizer.lr=0.05") for seed in range(4)]
    train_both(tmp_path, jobs, range(4))
    steps = {state_of(tmp_path / "together" / str(i))["global_step"] for i in range(4)}
    assert len(steps) > 1


def test_a_diverged_model_leaves_the_others_alone(tmp_path: Path) -> None:
    common = ("optimizer=sgd", "task.loss=least_squares")
    wild = ("seed=1", *common, "optimizer.lr=1e30")
    tame = ("seed=2", *common, "optimizer.lr=1e-3")
    objectives = train_both(tmp_path, [wild, tame], [1])
    assert math.isnan(objectives[0])
    with pytest.raises(DivergedError):
        run_one(compose(*wild), tmp_path / "alone" / "0")
    ours, theirs = (
        json.loads((tmp_path / folder / "0" / "run.json").read_text()) for folder in ("together", "alone")
    )
    assert ours["status"] == theirs["status"] == "diverged"
    assert ours["diverged_at_step"] == theirs["diverged_at_step"]
    assert ours["error"] == theirs["error"]


def test_mode_collapse_names_the_run(tmp_path: Path) -> None:
    still = ("optimizer.lr=1e-9", "trainer.max_steps=2")
    jobs = [("seed=1", *still), ("seed=2", *still, "task.generator.gain=1e-3")]
    plans = [plan_new(compose(*job), tmp_path / f"run-{i}") for i, job in enumerate(jobs)]
    with pytest.warns(UserWarning, match="mode collapse of run-1: the standard deviation of 100 samples"):
        run_many(plans)


def test_a_member_is_loaded_evaluated_and_prolonged_alone_and_in_a_chunk(tmp_path: Path) -> None:
    jobs = [("seed=1", "optimizer.schedule=cosine"), ("seed=2", "task.discriminator_steps=1")]
    plans = [plan_new(compose(*job), tmp_path / "sweep" / str(i)) for i, job in enumerate(jobs)]
    run_many(plans)
    run_one(compose(*jobs[1]), tmp_path / "alone")
    path = tmp_path / "sweep" / "1"
    result = json.loads((path / "result.json").read_text())
    table = evaluate(path, "last")
    assert table["loss/discriminator_test"] == pytest.approx(
        result["last"]["loss/discriminator_test"], abs=1e-6
    )
    assert load_run(path).config.seed == 2
    longer = ["trainer.max_steps=18", "trainer.eval_every_n_steps=6"]
    run_planned(plan_resumption(path, longer))
    stacked = [plan_resumption(tmp_path / "alone", longer), plan_resumption(tmp_path / "sweep" / "0", longer)]
    run_many(stacked, log=all_are_stacked)
    run_one(compose(*jobs[1], *longer), tmp_path / "whole")
    assert_same_run(path, tmp_path / "whole")
    assert_same_run(tmp_path / "alone", tmp_path / "whole")


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_overrides(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("random")
    common = (
        f"task.loss={data.draw(st.sampled_from(['hinge', 'relativistic', 'wasserstein', 'least_squares']))}",
        f"task.discriminator_steps={data.draw(st.integers(1, 3))}",
        f"task.gradient_penalty={data.draw(st.sampled_from([0, 1]))}",
        f"task.label_embedding={data.draw(st.sampled_from([0, 2]))}",
        "trainer.max_steps=7",
    )
    jobs = [
        (
            f"seed={data.draw(st.integers(0, 2**40))}",
            *common,
            f"optimizer.lr={data.draw(st.floats(1e-4, 5e-3))}",
            f"optimizer.beta1={data.draw(st.floats(0, 0.9))}",
            f"task.r1={data.draw(st.floats(0.01, 2))}",
            f"task.ema={data.draw(st.floats(0, 0.999))}",
            f"data.num_points={data.draw(st.integers(100, 120))}",
        )
        for _ in range(2)
    ]
    train_both(folder, jobs, [data.draw(st.integers(0, 1))])


def test_a_sweep_of_gans_from_the_command_line(tmp_path: Path) -> None:
    words = [word for word in QUICK if not word.startswith("logging")]
    command = [*TRAIN, "-m", "task.ema=0,0.9", *words, "hydra/launcher=vectorized"]
    done = finished(command, tmp_path / "log.txt")
    assert done.process.returncode == 0, done.output
    assert "one by one" not in done.output
    assert "a perfect sampler" in done.output
    (sweep,) = (tmp_path / "logs").iterdir()
    runs = sorted(path.parent for path in sweep.glob("*/run.json"))
    assert len(runs) == 2
    for path in runs:
        assert json.loads((path / "run.json").read_text())["trained_beside"] == 1
        tags = {tag.removeprefix("./") for tag, _ in points(path)}
        assert {"loss/generator_batch", "gap/loss_discriminator", "modes/captured"} <= tags
        assert len((path / "metrics.csv").read_text().splitlines()) == 3
        assert (path / "figures" / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert (sweep / "figures" / "samples_by_run.png").is_file()


@pytest.mark.usefixtures("traced_only")
def test_the_traced_step_agrees(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_compiled_step(tmp_path, caplog)


@pytest.mark.thorough
@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="needs a C++ compiler")
def test_the_compiled_step_agrees(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_compiled_step(tmp_path, caplog)


def check_compiled_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = ("task.discriminator_steps=2", "trainer.max_steps=6", "task.fourier_features=4")
    words += ("task.fourier_amplitude=[[0,0.1],[1,1]]", "task.latent_coins=2")
    train_both(tmp_path, [(f"seed={seed}", *words) for seed in (1, 2)], [1], compile=True)
    assert "without the compiler" not in caplog.text
