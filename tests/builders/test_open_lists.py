"""Optimisers, schedules, callbacks, loggers and Trainer arguments that a configuration names, in whole runs."""

import csv
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Muon
from torch.optim.lr_scheduler import OneCycleLR

from gaplab.config.compose import Composed, compose_config
from gaplab.config.registry import PARTS, register
from gaplab.errors import ConfigError, Preempted
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_new, plan_resumption
from gaplab.sweeps.grouping import obstacle
from gaplab.tasks.split_optimizer import SplitOptimizer
from gaplab.train import run_one, run_planned
from quick_runs import QUICK

FAST = (
    "logging.pictures=false",
    "logging.tensorboard=false",
    "logging.diagnostics=none",
    "logging.csv=false",
)
TRAINED: list[Any] = []
"""What ``Watcher`` saw."""


class Watcher(Callback):
    """Notes the weights after every step and the labels of every batch; counts steps in its state."""

    def __init__(self, words: str = "") -> None:
        self.words, self.steps = words, 0

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.steps += 1
        TRAINED.append(
            (flat(pl_module.state_dict()), batch.points.clone(), trainer.optimizers[0].param_groups[0]["lr"])
        )

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = state_dict["steps"]


LOGGED: list[tuple[str, str, Any]] = []


class Notebook(Logger):
    """Stands for a tracker: every run of it has a number, which continues it."""

    def __init__(self, project: str = "p", run_id: str | None = None) -> None:
        super().__init__()
        self.run_id = run_id or f"run {len({number for number, *_ in LOGGED}) + 1}"

    @property
    def name(self) -> str:
        return "notebook"

    @property
    def version(self) -> str:
        return self.run_id

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        LOGGED.append((self.run_id, "settings", dict(params)))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        LOGGED.append((self.run_id, "metrics", dict(metrics) | {"step": step}))


@pytest.fixture(autouse=True)
def own_parts() -> Iterator[None]:
    TRAINED.clear()
    LOGGED.clear()
    register("callback", "watcher", Watcher)
    register("logger", "notebook", Notebook)
    yield
    PARTS["callback"].pop("watcher")
    PARTS["logger"].pop("notebook")


def compose(root: Path, *words: str) -> Composed:
    return compose_config([*QUICK, *FAST, f"run.root={root}", *words])


def train(root: Path, name: str, *words: str) -> Path:
    run_one(compose(root, *words), root / name)
    return root / name


def flat(state: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in state.values()]).clone()


def last(run: Path) -> Tensor:
    return flat(read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"])


def test_a_class_of_torch_is_the_shipped_optimizer(tmp_path: Path) -> None:
    ours = train(
        tmp_path,
        "ours",
        "optimizer=sgd",
        "optimizer.lr=0.3",
        "optimizer.momentum=0.9",
        "optimizer.weight_decay=0.01",
    )
    words = (
        "optimizer.name=SGD",
        "optimizer.lr=0.3",
        "optimizer.args.momentum=0.9",
        "optimizer.weight_decay=0.01",
    )
    theirs = train(tmp_path, "theirs", "optimizer=torch", *words)
    assert torch.equal(last(ours), last(theirs))
    both = [read_json(run / "result.json")["last"] for run in (ours, theirs)]
    assert both[0] == both[1]


def test_muon_takes_matrices_and_adamw_the_rest() -> None:
    torch.manual_seed(0)
    networks = [nn.Linear(3, 4), nn.Linear(3, 4)]
    networks[1].load_state_dict(networks[0].state_dict())
    config: Any = compose_config(
        ["optimizer=torch", "optimizer.name=Muon", "optimizer.lr=0.02", "optimizer.weight_decay=0.1"]
    ).config.optimizer
    optimizer = config.build(list(networks[0].parameters()))
    separate = [
        Muon([networks[1].weight], lr=0.02, weight_decay=0.1),
        AdamW([networks[1].bias], lr=0.02, weight_decay=0.1),
    ]
    assert isinstance(optimizer, SplitOptimizer)
    points = torch.randn(5, 3)
    for step in range(4):
        if step == 2:  # as if a run continued
            state = optimizer.state_dict()
            optimizer = config.build(list(networks[0].parameters()))
            optimizer.load_state_dict(state)
        for network, parts in ((networks[0], [optimizer]), (networks[1], separate)):
            for part in parts:
                part.zero_grad()
            network(points).square().mean().backward()
            for part in parts:
                part.step()
    assert torch.equal(networks[0].weight, networks[1].weight)
    assert torch.equal(networks[0].bias, networks[1].bias)


ONE_CYCLE = ("schedule=torch", "schedule.name=OneCycleLR", "schedule.args.max_lr=0.1")


def rates(total: int) -> list[float]:
    """Return the learning rates of torch's schedule by itself."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    schedule = OneCycleLR(optimizer, 0.1, total)
    found = []
    with warnings.catch_warnings(action="ignore"):
        for _ in range(total):
            found.append(optimizer.param_groups[0]["lr"])
            schedule.step()
    return found


def test_a_schedule_of_torch_moves_every_step(tmp_path: Path) -> None:
    run = tmp_path / "run"
    composed = compose_config(
        [
            *QUICK,
            *FAST[:-1],
            "optimizer=sgd",
            "optimizer.momentum=0.5",
            *ONE_CYCLE,
            "callbacks=[LearningRateMonitor]",
        ]
    )
    run_one(composed, run)
    with (run / "metrics.csv").open() as file:
        found = {int(row["step"]): float(row["lr-SGD"]) for row in csv.DictReader(file) if row["lr-SGD"]}
    assert found == pytest.approx(dict(enumerate(rates(24))), abs=0)


def test_a_plateau_lowers_the_rate_when_the_measured_loss_stalls(tmp_path: Path) -> None:
    words = ("optimizer=sgd", "optimizer.lr=1e-9", "schedule=torch", "schedule.name=ReduceLROnPlateau")
    train(
        tmp_path, "run", *words, "schedule.args.patience=0", "schedule.args.threshold=0.1", "callbacks=[watcher]",
        "schedule.args.eps=0",
    )  # fmt: skip
    found = [rate for *_, rate in TRAINED]
    # The first measurement, at step 8, is the best so far; the second one is no better.
    assert found == pytest.approx([1e-9] * 16 + [1e-10] * 8)


WORDS = (
    *(
        "optimizer=torch",
        "optimizer.name=Muon",
        "optimizer.lr=0.02",
        *ONE_CYCLE,
        "schedule.args.cycle_momentum=false",
    ),
    "callbacks=[watcher,{_target_: EMAWeightAveraging, decay: 0.9},{_target_: ModelCheckpoint, monitor: loss/val}]",
)


def test_all_of_it_continues_bit_for_bit(tmp_path: Path, stop_at: Any) -> None:
    composed = compose(tmp_path, *WORDS)
    run_one(composed, tmp_path / "whole")
    assert len(list((tmp_path / "whole" / "model_checkpoints").iterdir())) == 1
    stop_at(10)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    stop_at(None)
    run_planned(plan_new(composed, tmp_path / "parts"))
    whole, parts = (
        read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "parts")
    )
    assert torch.equal(flat(whole["state_dict"]), flat(parts["state_dict"]))
    assert torch.equal(flat(whole["current_model_state"]), flat(parts["current_model_state"]))
    assert whole["callbacks"]["Watcher"] == parts["callbacks"]["Watcher"] == {"steps": 24}
    assert [len(TRAINED[place][0]) for place in (0, 24)] == [51, 51]
    assert all(
        torch.equal(a[0], b[0]) and a[2] == b[2] for a, b in zip(TRAINED[:24], TRAINED[24:], strict=True)
    )
    results = [read_json(tmp_path / name / "result.json") for name in ("whole", "parts")]
    assert results[0]["last"] == results[1]["last"]


def test_a_longer_run_has_the_schedule_of_its_length(tmp_path: Path) -> None:
    words = ("optimizer=sgd", "optimizer.momentum=0.5", *ONE_CYCLE, "callbacks=[watcher]")
    run = train(tmp_path, "run", *words)
    run_planned(plan_resumption(run, ["trainer.max_steps=40"]))
    assert [rate for *_, rate in TRAINED[24:39]] == pytest.approx(rates(40)[25:])


def test_averaged_weights_are_measured_and_kept(tmp_path: Path) -> None:
    words = (
        "optimizer=sgd",
        "callbacks=[watcher,{_target_: EMAWeightAveraging, decay: 0.5, update_starting_at_step: 5}]",
    )
    run = train(tmp_path, "run", *words, "optimizer.lr=0.5")
    average: Tensor | None = None
    at: dict[int, Tensor] = {}
    for step, (weights, *_) in enumerate(TRAINED, start=1):
        if step > 5:
            average = weights if average is None else 0.5 * average + 0.5 * weights
        at[step] = weights if average is None else average
    content = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert torch.allclose(flat(content["state_dict"]), at[24], atol=1e-6)
    assert torch.equal(flat(content["current_model_state"]), TRAINED[-1][0])
    best = read_checkpoint(run / "checkpoints" / "best.ckpt")
    assert torch.allclose(flat(best["state_dict"]), at[best["global_step"]], atol=1e-6)
    from gaplab import load_run

    loaded = load_run(run, weights="last")
    logits = loaded.task(loaded.data.splits["test"].points)
    loss = nn.functional.cross_entropy(logits, loaded.data.splits["test"].labels).item()
    assert read_json(run / "result.json")["last"]["loss/test"] == pytest.approx(loss, abs=1e-6)


def test_an_average_that_never_begins_leaves_trained_weights(tmp_path: Path) -> None:
    plain = train(tmp_path, "plain")
    words = "callbacks=[{_target_: EMAWeightAveraging, update_starting_at_step: 1000}]"
    late = train(tmp_path, "late", words)
    assert torch.equal(last(plain), last(late))
    assert read_json(plain / "result.json")["last"] == read_json(late / "result.json")["last"]


def batches(*words: str, root: Path) -> list[Tensor]:
    TRAINED.clear()
    train(root, str(len(list(root.iterdir()))), "callbacks=[watcher]", *words)
    return [points for _, points, _ in TRAINED]


def test_epochs_are_limited_to_some_batches(tmp_path: Path) -> None:
    whole = batches(root=tmp_path)  # 60 points are 4 batches of 16
    limited = batches("trainer.extra.limit_train_batches=3", root=tmp_path)
    assert [len(points) for points in limited] == [16] * 24
    assert all(
        torch.equal(a, b) for a, b in zip(limited[:3] + limited[3:6], whole[:3] + whole[4:7], strict=True)
    )
    same = batches("trainer.extra.overfit_batches=2", root=tmp_path)
    assert all(torch.equal(points, whole[number % 2]) for number, points in enumerate(same))
    words = [word for word in QUICK if not word.startswith("trainer.max_steps")]
    config = compose_config([*words, "trainer.max_epochs=5", "trainer.extra.limit_train_batches=0.5"]).config
    assert config.num_steps == 10


def test_blocks_take_the_same_limited_batches(tmp_path: Path) -> None:
    limit = "trainer.extra.limit_train_batches=3"
    blocks = train(tmp_path, "blocks", limit)
    single = train(tmp_path, "single", limit, "trainer.block_steps=1")
    assert torch.equal(last(blocks), last(single))


def test_a_first_try_is_measured_and_kept(tmp_path: Path) -> None:
    run = train(tmp_path, "run", "trainer.extra.fast_dev_run=3")
    result = read_json(run / "result.json")
    assert result["step"] == 3
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_a_run_ends_after_its_time_with_a_measurement(tmp_path: Path) -> None:
    words = [word for word in QUICK if not word.startswith("trainer.max_steps")]
    words += [
        *FAST,
        "trainer.max_steps=100000",
        "trainer.compile=false",
        "trainer.extra.max_time={seconds: 1}",
    ]
    run_one(compose_config(words), tmp_path / "run")
    result = read_json(tmp_path / "run" / "result.json")
    assert 0 < result["step"] < 100_000
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == result["step"]


def test_callbacks_that_lightning_refuses_leave_nothing_behind(tmp_path: Path) -> None:
    first = "{_target_: EarlyStopping, monitor: loss/val}"
    words = f"callbacks=[{first},{{_target_: EarlyStopping, monitor: loss/val, patience: 9}}]"
    with pytest.raises(ConfigError, match=r"^callbacks: .*EarlyStopping"):
        train(tmp_path, "run", words)
    assert not (tmp_path / "run").exists()


def test_a_tracker_gets_settings_and_results_and_continues_its_run(tmp_path: Path, stop_at: Any) -> None:
    composed = compose(tmp_path, "logging.extra=[{_target_: notebook, project: mine}]", "optimizer.lr=0.02")
    stop_at(10)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "run")
    stop_at(None)
    run_planned(plan_new(composed, tmp_path / "run"))
    assert {number for number, *_ in LOGGED} == {"run 1"}
    settings = [content for _, kind, content in LOGGED if kind == "settings"]
    assert settings[0] == settings[1]
    assert settings[0]["optimizer.lr"] == 0.02
    metrics = [content for _, kind, content in LOGGED if kind == "metrics"]
    assert [row["step"] for row in metrics if "gap/loss" in row] == [8, 16, 24]
    result = read_json(tmp_path / "run" / "result.json")
    assert metrics[-1]["objective"] == result["objective"]
    assert metrics[-1]["final/gap/loss"] == result["best"]["gap/loss"]
    run_one(composed, tmp_path / "another")
    assert LOGGED[-1][0] == "run 2"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("callbacks=[watcher]", "callbacks belong to a training loop of its own"),
        ("logging.extra=[notebook]", "the loggers of logging.extra follow one run each"),
        ("trainer.extra.limit_train_batches=2", "trainer.extra.limit_train_batches is not stacked"),
        ("optimizer=torch", "the optimizer TorchOptimizerConfig has no stacked update rule"),
        ("schedule=torch", "schedule"),
    ],
)
def test_stacked_training_leaves_such_runs_alone_and_says_why(word: str, reason: str) -> None:
    words = ["optimizer.name=Adam"] if word == "optimizer=torch" else []
    words += ["schedule.name=StepLR", "schedule.args.step_size=5"] if word == "schedule=torch" else []
    found = obstacle(compose_config([word, *words]).config)
    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize("block_steps", [1, 50])
def test_an_optimizer_that_ignores_its_closure_trains_nothing_and_says_so(
    tmp_path: Path, block_steps: int
) -> None:
    class Ignoring(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            return super().step()

    register("optimizer", "ignoring", Ignoring)
    words = ["optimizer=torch", "optimizer.name=ignoring", f"trainer.block_steps={block_steps}"]
    try:
        with pytest.raises(MisconfigurationException, match="closure"):
            run_one(compose_config([*QUICK, *words]), tmp_path / "run")
    finally:
        PARTS["optimizer"].pop("ignoring")
    assert read_json(tmp_path / "run" / "run.json")["status"] == "failed"
