"""The launcher: fast composition equals Hydra's, and mistakes stop a sweep before it starts."""

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig

from gaplab.config.compose import compose_config, compose_tree
from gaplab.errors import ConfigError
from gaplab.sweeps.compose_jobs import compose_jobs
from running import TRAIN, finished

calls: list[list[str]] = []


def load(words: list[str]) -> DictConfig:
    calls.append(words)
    return compose_tree(words)


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def test_jobs_that_differ_in_values_share_one_composition() -> None:
    jobs = [
        [f"seed={seed}", f"optimizer.lr={lr}", "network.activation=tanh"]
        for seed in (0, 7)
        for lr in ("0.1", "1e-3", "1")
    ]
    composed = compose_jobs(load, jobs)
    assert len(calls) == 1
    for words, job in zip(jobs, composed, strict=True):
        alone = compose_config(words)
        assert job.config == alone.config
        assert job.resolved == alone.resolved
        assert json.dumps(job.resolved) == json.dumps(alone.resolved)
        assert job.overrides == alone.overrides


def test_other_groups_and_lists_are_composed_anew() -> None:
    jobs = [[f"network.widths=[{w}]", f"optimizer={o}"] for w in (4, 5) for o in ("sgd", "adam")]
    composed = compose_jobs(load, jobs)
    assert len(calls) == 4
    assert [job.config for job in composed] == [compose_config(words).config for words in jobs]


def test_enumerations_and_null_keep_their_types() -> None:
    jobs = [["optimizer.schedule=cosine"], ["optimizer.schedule=linear"], ["optimizer.max_grad_norm=1"]]
    jobs += [["optimizer.max_grad_norm=null"]]
    for words, job in zip(jobs, compose_jobs(load, jobs), strict=True):
        assert job.config == compose_config(words).config
        assert job.resolved == compose_config(words).resolved


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([], "The sweep has no jobs"),
        ([["seed=1"], ["seed=2"], ["seed=1"]], "jobs 0 and 2 are the same run"),
        ([["optimizer.lr=0.01"], ["optimizer.lr=1e-2"]], "jobs 0 and 1 are the same run"),
        ([["seed=1"], ["seed=-1"]], r"job 1 \(seed=-1\): seed: expected a whole number"),
        ([["optimizer.lr=0.1"], ["optimizer.lr=fast"]], r"job 1 \(optimizer.lr=fast\): optimizer.lr"),
        ([["data.num_points=90"], ["data.num_points=60"]], r"job 1 .*data.batch_size: expected at most"),
        ([["network.widht=3"]], r"job 0 .*widht"),
    ],
)
def test_mistakes_are_named_before_anything_runs(jobs: list[list[str]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_jobs(load, jobs)


def test_a_sweep_from_the_command_line(tmp_path: Path) -> None:
    command = [*TRAIN, "-m", "seed=0,1", "optimizer.lr=0.1,0.01", "hydra/launcher=vectorized"]
    command += ["trainer.max_steps=10", "data.num_test_points=100", "logging.pictures=false"]
    for shown in ("4 of 4 runs finished", "4 of 4 runs are finished already"):
        done = finished(command, tmp_path / "log.txt")
        assert done.process.returncode == 0, done.output
        assert shown in done.output
    (sweep,) = (tmp_path / "logs").iterdir()
    assert (sweep / "ledger.csv").is_file()
    assert (sweep / "seed=1,lr=0.01" / "checkpoints" / "last.ckpt").is_file()
    assert {path.name for path in (sweep / "summary").iterdir() if path.is_dir()} == {"lr=0.1", "lr=0.01"}
