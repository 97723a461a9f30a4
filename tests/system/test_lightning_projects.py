"""An existing Lightning project, unchanged: trained, measured, stopped anywhere and continued bit for bit."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from gaplab import load_run
from gaplab.config import registry
from gaplab.config.compose import Composed, compose_config
from gaplab.config.hparams import changed_settings
from gaplab.config.ignored import refuse_ignored
from gaplab.config.lightning_project import LightningConfig
from gaplab.config.named_classes import ALLOWED
from gaplab.config.registry import register
from gaplab.config.task import TaskConfig
from gaplab.errors import ConfigError, Preempted
from gaplab.evaluate import evaluate
from gaplab.runs.checkpoints import read_checkpoint, read_weights
from gaplab.runs.resume import plan_new, plan_resumption
from gaplab.sweeps.frozen_jobs import freeze, thaw
from gaplab.sweeps.job import SweepJob
from gaplab.train import run_one, run_planned
from lightning_projects import TwoPlayers
from quick_runs import QUICK
from running import TRAIN, finished

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
PROJECT = (
    *("task=lightning", "task.module=lightning_projects.Net", "task.datamodule=lightning_projects.BlobsDM"),
    *(
        "trainer.max_epochs=3",
        "trainer.progress_bar=false",
        "trainer.accelerator=cpu",
        "logging.pictures=false",
    ),
)


@pytest.fixture(autouse=True)
def no_name_stays_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOWED, "")


def compose(*words: str) -> Composed:
    return compose_config(list({word.split("=")[0]: word for word in (*PROJECT, *words)}.values()))


def last_weights(run: Path) -> dict[str, Tensor]:
    return read_weights(run / "checkpoints" / "last.ckpt").weights


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the project; tests read it."""
    path = tmp_path_factory.mktemp("whole") / "run"
    run_one(compose(), path)
    return path


def test_a_run_leaves_what_every_run_leaves(whole: Path) -> None:
    result = json.loads((whole / "result.json").read_text())
    assert (result["step"], result["epochs"], result["num_train_points"]) == (12, 3.0, 70)
    for quantity in ("loss", "acc", "weight"):
        assert {f"{quantity}/{split}" for split in ("train", "val", "test")} <= result["last"].keys()
        assert f"gap/{quantity}" in result["last"]
    assert result["objective"] == result["best"]["loss/val"]
    assert json.loads((whole / "run.json").read_text())["status"] == "finished"
    hyper = read_checkpoint(whole / "checkpoints" / "best.ckpt")["hyper_parameters"]
    assert hyper == {"lr": 0.01, "width": 8, "rate": 0.2, "interval": "epoch"}
    assert list(whole.glob("events.out.tfevents.*.session"))
    recorded = yaml.safe_load((whole / "config.yaml").read_text())
    assert not {"data", "network", "optimizer"} & (recorded.keys() | recorded["choices"].keys())
    changed = changed_settings(compose("task.module_args.lr=0.5").config)
    assert changed["task.module_args.lr"] == 0.5


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ((), 6),
        (("task.datamodule_args.num_workers=2",), 5),
        (("task.module_args.interval=step", "trainer.accumulate_grad_batches=2"), 3),
        (("task.module=lightning_projects.TwoPlayers",), 10),
        (("trainer.max_epochs=null", "trainer.max_steps=11", "trainer.eval_every_n_steps=3"), 7),
    ],
)
def test_a_stopped_run_continues_bit_for_bit(
    tmp_path: Path, stop_at: Any, words: tuple[str, ...], step: int
) -> None:
    composed = compose(*words)
    first = run_one(composed, tmp_path / "whole")
    stop_at(step)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    stop_at(None)
    torch.rand(7)
    run_planned(plan_new(composed, tmp_path / "parts"))
    assert equal(last_weights(tmp_path / "whole"), last_weights(tmp_path / "parts"))
    assert first.as_json() == json.loads((tmp_path / "parts" / "result.json").read_text())


def test_more_steps_go_on_within_the_epoch(tmp_path: Path) -> None:
    words = ("trainer.max_epochs=null", "task.module_args.rate=0.5")
    run_one(compose(*words, "trainer.max_steps=11"), tmp_path / "whole")
    run_one(compose(*words, "trainer.max_steps=6"), tmp_path / "parts")
    overrides = ["trainer.max_steps=11", "task.module=lightning_projects.Net"]
    run_planned(plan_resumption(tmp_path / "parts", overrides))
    assert equal(last_weights(tmp_path / "whole"), last_weights(tmp_path / "parts"))


def test_other_seeds_draw_other_orders_and_weights(tmp_path: Path, whole: Path) -> None:
    run_one(compose(), tmp_path / "again")
    assert equal(last_weights(whole), last_weights(tmp_path / "again"))
    for key in ("train_seed", "init_seed"):
        run_one(compose(f"{key}=1"), tmp_path / key)
        assert not equal(last_weights(whole), last_weights(tmp_path / key))


def test_a_run_directory_imports_nothing_unless_the_user_names_it(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ConfigError, match="not imported by itself: add task.module=lightning_projects.Net to"
    ):
        load_run(whole)
    with pytest.raises(ConfigError, match="task.module: this run was made with"):
        run_planned(plan_resumption(whole, ["trainer.max_epochs=4"]))
    loaded = load_run(whole, weights="last", overrides=["task.module=lightning_projects.Net"])
    assert equal(loaded.task.state_dict(), last_weights(whole))
    monkeypatch.setenv(ALLOWED, "lightning_projects")
    table = evaluate(whole, "last")
    expected = json.loads((whole / "result.json").read_text())["last"]
    assert table == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ConfigError, match="task.module_args.lr .* cannot change: .*init_from=RUN"):
        plan_resumption(whole, ["task.module_args.lr=0.5"])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("task.module=lightning_projects.Nett", "expected a LightningModule .* Did you mean 'Net'"),
        ("task.module=lightning_project.Net", "expected a module that can be imported"),
        ("task.module=lightning_projects.blobs", "blobs: that is none"),
        ("task.module_args.widht=3", "argument of Net, .* Did you mean 'width'"),
        ("task.module_args.width=wide", "width: expected a whole number for Net, but got 'wide'"),
        ("task.datamodule_args.batchsize=3", "argument of BlobsDM, .* Did you mean 'batch_size'"),
        ("data.noise=0.3", "data.noise: expected a key that has an effect"),
        (
            "schedule=torch schedule.name=StepLR schedule.args.step_size=5",
            "schedule: expected a key that has an effect",
        ),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(word: str, message: str) -> None:
    composed = compose(*word.split())
    with pytest.raises(ConfigError, match=message):
        refuse_ignored(composed.config, [*PROJECT, *word.split()], stacked=False)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "task.module=lightning_projects.TwoPlayers trainer.gradient_clip_val=1",
            "gradient_clip_val: expected null",
        ),
        (
            "task.module=lightning_projects.TwoPlayers trainer.accumulate_grad_batches=2",
            "accumulate_grad_batches: expected 1, as TwoPlayers takes its steps by hand .* got 2",
        ),
        (
            "task.datamodule=null",
            "task.datamodule: expected a LightningDataModule, .* Net has no train_dataloader",
        ),
        ("task.module=lightning_projects.Aimless", "expected a method configure_optimizers, but Aimless has"),
    ],
)
def test_what_lightning_would_refuse_later_leaves_nothing_behind(
    word: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_one(compose(*word.split()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_module_that_logs_nothing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a validation_step that logs .*, but Silent logs no number"):
        run_one(compose("task.module=lightning_projects.Silent"), tmp_path / "run")


def test_arguments_of_lightnings_trainer_reach_a_project(tmp_path: Path) -> None:
    result = run_one(compose("trainer.extra.limit_train_batches=2", "trainer.max_epochs=2"), tmp_path / "run")
    assert result.step == 4, "two batches of each epoch, not all four"


def test_what_selects_the_best_weights(tmp_path: Path) -> None:
    words = ("task.monitor=val/acc", "trainer.max_epochs=4", "logging.keep_best=2", "init_seed=4")
    result = run_one(compose(*words), tmp_path / "run")
    values = {step: table["acc/val"] for step, table in result.history.items()}
    assert result.best is not None
    assert result.best["acc/val"] == max(values.values()) == -result.objective
    best = sorted(values, key=lambda step: -values[step])[:2]
    kept = {file.stem for file in (tmp_path / "run" / "checkpoints").glob("step=*")}
    assert kept == {f"step={step}" for step in best}
    with pytest.raises(ConfigError, match="task.monitor: expected a value .* Did you mean 'loss'"):
        run_one(compose("task.monitor=val_lss"), tmp_path / "wrong")


def test_two_processes_measure_every_point_once(tmp_path: Path, whole: Path) -> None:
    path = {
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[2] / "src"), str(Path(__file__).parents[1])]
        )
    }
    words = [*TRAIN, *PROJECT, "trainer.devices=2", "run.name=a", "run.id=two"]
    words.append("task.datamodule_args.jitter=false")
    two = finished(words, tmp_path / "log", path)
    assert two.process.returncode == 0, two.output
    run = tmp_path / "logs" / "a" / "two"
    result = json.loads((run / "result.json").read_text())
    assert result["step"] == 6  # half as many batches for each
    alone = evaluate(run, "last", ["task.module=lightning_projects.Net", "trainer.devices=1"])
    assert {tag: result["last"][tag] for tag in alone} == pytest.approx(alone, abs=1e-6)


def test_a_sweep_over_an_argument(tmp_path: Path) -> None:
    path = {
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[2] / "src"), str(Path(__file__).parents[1])]
        )
    }
    words = [*TRAIN, "-m", *PROJECT, "task.module_args.lr=0.01,0.1", "hydra/launcher=pool"]
    sweep = finished([*words, "hydra.launcher.num_workers=2"], tmp_path / "log", path)
    assert sweep.process.returncode == 0, sweep.output
    runs = [*(tmp_path / "logs").glob("*/*/result.json")]
    assert len(runs) == 2, sweep.output
    assert "task.module_args.lr" in (runs[0].parents[1] / "ledger.csv").read_text().splitlines()[0]


def test_jobs_that_wait_for_a_cluster_know_their_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [SweepJob(compose(f"task.module_args.lr={lr}"), tmp_path / str(lr)) for lr in (0.1, 0.2)]
    freeze(jobs, tmp_path / "jobs.json")
    monkeypatch.setenv(ALLOWED, "")
    for job, lr in zip(thaw(tmp_path / "jobs.json"), (0.1, 0.2), strict=True):
        assert isinstance(job.composed.config.task, LightningConfig)
        assert job.composed.config.task.module_args == {"lr": lr}
        job.composed.config.task.check_names()


@dataclass(kw_only=True, slots=True)
class OwnConfig(TaskConfig):
    lr: float = 0.1
    both: bool = False


class OnPoints(TwoPlayers):
    """Counts the steps of one optimiser, unless it is told to count both."""

    def __init__(self, lr: float, both: bool) -> None:
        super().__init__(lr)
        self.first, self.both = nn.Linear(2, 4), both

    def loss(self, batch: Any) -> Tensor:
        return TwoPlayers.loss(self, batch[:2])

    def training_step(self, batch: Any, batch_idx: int) -> None:
        first, second = self.optimizers()  # type: ignore[misc]
        first.zero_grad()
        second.zero_grad()
        self.manual_backward(self.loss(batch))
        first.step()
        (second if self.both else second.optimizer).step()


@pytest.fixture
def registered() -> Iterator[None]:
    register(
        "task", "mine", OwnConfig, lambda section, config, data, stream: OnPoints(section.lr, section.both)
    )
    yield
    registry._builders.pop(OwnConfig)
    registry.CHOICES["task"].pop("mine")


@pytest.mark.usefixtures("registered")
def test_a_plain_module_on_point_sets(tmp_path: Path, stop_at: Any) -> None:
    words = [word for word in QUICK if not word.startswith("network")]
    composed = compose_config([*words, "task=mine", "logging.checkpoint_steps=log"])
    run_one(composed, tmp_path / "whole")
    stop_at(9)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    stop_at(None)
    run_planned(plan_new(composed, tmp_path / "parts"))
    assert equal(last_weights(tmp_path / "whole"), last_weights(tmp_path / "parts"))
    result = json.loads((tmp_path / "parts" / "result.json").read_text())
    assert {"loss/train", "loss/val", "loss/test", "gap/loss"} <= result["last"].keys()
    assert evaluate(tmp_path / "parts", "last") == pytest.approx(result["last"], abs=1e-6)
    kept = {file.stem for file in (tmp_path / "parts" / "checkpoints").glob("step=*")}
    assert kept == {f"step={step}" for step in (1, 2, 5, 10, 20)}
    assert not equal(
        load_run(tmp_path / "parts", weights="step=20").task.state_dict(), last_weights(tmp_path / "parts")
    )
    with pytest.raises(ConfigError, match="There are: .*step=10"):
        load_run(tmp_path / "parts", weights="step=3")
    both = compose_config([*words, "task=mine", "task.both=true"])
    with pytest.raises(ConfigError, match="OnPoints has taken .* Let one optimizer count"):
        run_one(both, tmp_path / "both")
