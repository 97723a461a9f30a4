"""Classes that a configuration names: found, typed by their signatures, and nothing else ever run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from omegaconf import OmegaConf
from torch.optim import SGD

from gaplab.config.callbacks import check_callbacks
from gaplab.config.compose import compose_config, restore
from gaplab.config.logging import LoggingConfig
from gaplab.config.parts import build_part, find_class
from gaplab.config.registry import PARTS, register
from gaplab.config.schedule import Interval, TorchScheduleConfig
from gaplab.config.torch_optimizer import TorchOptimizerConfig
from gaplab.config.trainer import TrainerConfig
from gaplab.errors import ConfigError

TORCH = "optimizer=torch"
SCHEDULE = "schedule=torch"


class Counter(Callback):
    """Counts to a number."""

    def __init__(self, limit: int, factor: float = 1.0) -> None:
        self.limit, self.factor = limit, factor


@pytest.fixture(autouse=True)
def own_parts() -> Iterator[None]:
    register("callback", "counter", Counter)
    register("callback", "late", f"{__name__}:Counter")
    register("callback", "nowhere", "no_such_module:Counter")
    register("callback", "no_callback", int)
    yield
    for name in ("counter", "late", "nowhere", "no_callback"):
        PARTS["callback"].pop(name)


@pytest.mark.parametrize(
    "words",
    [
        [TORCH, "optimizer.name=Muon", "optimizer.args.momentum=0.9"],
        [TORCH, "optimizer.name=torch.optim.Adam", "optimizer.args.betas=[0.9,0.99]"],
        [SCHEDULE, "schedule.name=OneCycleLR", "schedule.args.max_lr=0.1"],
        [SCHEDULE, "schedule.name=ReduceLROnPlateau"],
        ["callbacks=[LearningRateMonitor,counter]".replace("counter", "{_target_: counter, limit: 3}")],
        ["callbacks=[{_target_: lightning.pytorch.callbacks.ModelCheckpoint, monitor: loss/val}]"],
        ["callbacks=[{_target_: late, limit: 1, factor: 2}]"],
        ["logging.extra=[{_target_: CSVLogger, flush_logs_every_n_steps: 5}]"],
        ["trainer.extra.limit_train_batches=10", "trainer.extra.detect_anomaly=true"],
        ["trainer.extra.max_time={minutes: 1}"],
    ],
)
def test_what_is_named_is_recorded_as_plain_data(words: list[str]) -> None:
    composed = compose_config(words)
    assert restore(composed.resolved, "here") == composed.config


def build_sections(words: list[str]) -> None:
    """Build the sections that words are about, each by itself: what a mistake meets first."""
    tree = OmegaConf.from_dotlist([word for word in words if word not in (TORCH, SCHEDULE)])
    given: Any = OmegaConf.to_container(tree)
    if TORCH in words:
        TorchOptimizerConfig(**given.get("optimizer", {}))
    if SCHEDULE in words:
        section = given.get("schedule", {})
        interval = Interval(section.pop("interval")) if "interval" in section else None
        TorchScheduleConfig(**section, interval=interval)
    check_callbacks(given.get("callbacks", []), has_loggers=True, progress_bar=False)
    LoggingConfig(**given.get("logging", {}))
    TrainerConfig(**given.get("trainer", {}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([TORCH], r"optimizer.name: expected one of ASGD, .*Set optimizer.name=NAME"),
        ([TORCH, "optimizer.name=Moun"], r"optimizer.name: .* got 'Moun'. Did you mean 'Muon'"),
        (
            [TORCH, "optimizer.name=SGD", "optimizer.args.momentun=0.9"],
            r"optimizer.args.momentun: .*SGD.* Did you mean 'momentum'",
        ),
        (
            [TORCH, "optimizer.name=SGD", "optimizer.args.momentum=fast"],
            r"optimizer.args.momentum: expected a number for SGD, but got 'fast'",
        ),
        (
            [TORCH, "optimizer.name=SGD", "optimizer.args.momentum=-1"],
            r"optimizer.args: SGD refuses its arguments: Invalid momentum",
        ),
        ([TORCH, "optimizer.name=SGD", "optimizer.args.lr=1"], r"optimizer.args.lr: .* set optimizer.lr"),
        ([TORCH, "optimizer.name=SparseAdam"], r"optimizer.name: .*SparseAdam says: .*dense gradients"),
        (
            [TORCH, "optimizer.name=Rprop", "optimizer.weight_decay=0.1"],
            r"optimizer.weight_decay: expected 0",
        ),
        ([TORCH, "optimizer.name=LBFGS"], r"optimizer.name: LBFGS is optimizer=lbfgs"),
        (
            [TORCH, "optimizer.name=Adam", "optimizer.args.betas=[0.9]"],
            r"optimizer.args.betas: expected a list of 2 for Adam, but got \[0.9\]",
        ),
        ([SCHEDULE], r"schedule.name: expected one of .*OneCycleLR"),
        ([SCHEDULE, "schedule.name=OneCycleLR"], r"OneCycleLR needs max_lr: set schedule.args.max_lr=VALUE"),
        ([SCHEDULE, "schedule.name=LambdaLR"], r"LambdaLR needs lr_lambda, a function.*class of your own"),
        ([SCHEDULE, "schedule.name=SequentialLR"], r"schedule.name: .*SequentialLR is made of others"),
        (
            [SCHEDULE, "schedule.name=StepLR", "schedule.args.step_size=2", "schedule.interval=evaluation"],
            r"schedule.interval: expected step or epoch",
        ),
        (
            ["callbacks=[{_target_: LearningRateMonitor, logging_intervall: step}]"],
            r"callbacks\[0\].logging_intervall: .* Did you mean 'logging_interval'",
        ),
        (
            ["callbacks=[{_target_: LearningRateMonitor, logging_interval: stp}]"],
            r"callbacks\[0\].logging_interval: expected one of step, epoch or null .*'stp'",
        ),
        (
            ["callbacks=[{_target_: counter, limit: 2.5}]"],
            r"limit: expected a whole number for counter, but got 2.5",
        ),
        (["callbacks=[counter]"], r"counter needs limit: set \{_target_: counter, limit: VALUE\}"),
        (
            ["callbacks=[nowhere]"],
            r"expected a callback as 'module:Class', but 'no_such_module:Counter' gave",
        ),
        (["callbacks=[no_callback]"], r"expected a class derived from lightning.pytorch.callbacks.Callback"),
        (["callbacks=[3]"], r"callbacks\[0\]: expected the name of a class or \{_target_"),
        (["callbacks=[Timer,Timer]"], r"callbacks\[1\]: expected every callback once"),
        (
            ["callbacks=[StochasticWeightAveraging]"],
            r"untrained. EMAWeightAveraging and WeightAveraging average",
        ),
        (["callbacks=[GradientAccumulationScheduler]"], r"Set trainer.accumulate_grad_batches"),
        (["callbacks=[BatchSizeFinder]"], r"Set data.batch_size"),
        (["callbacks=[LearningRateFinder]"], r"Sweep it: -m optimizer.lr="),
        (["callbacks=[LambdaCallback]"], r"it takes functions"),
        (["logging.extra=[{_target_: WandbLogger, ofline: true}]"], r"ofline: .* Did you mean 'offline'"),
        (["logging.extra=[wanbd]"], r"logging.extra\[0\]: .*'wanbd'. Did you mean"),
        (["trainer.extra.limit_train_batche=1"], r"Did you mean 'limit_train_batches'"),
        (["trainer.extra.max_steps=10"], r"trainer.extra.max_steps: refused: .*set trainer.max_steps"),
        (["trainer.extra.limit_val_batches=2"], r"refused: every measurement covers all splits"),
        (["trainer.extra.num_sanity_val_steps=2"], r"refused: every measurement covers all splits"),
        (["trainer.extra.check_val_every_n_epoch=2"], r"set trainer.eval_every_n_steps"),
        (["trainer.extra.logger=false"], r"set logging.tensorboard"),
        (["trainer.extra.callbacks=[]"], r"set the list callbacks"),
        (["trainer.extra.limit_train_batches=0"], r"expected a number of batches, or a share"),
        (["trainer.extra.limit_train_batches=3", "trainer.extra.overfit_batches=3"], r"but got both"),
        (["trainer.extra.max_time=long"], r"trainer.extra.max_time: expected DD:HH:MM:SS"),
        (
            ["trainer.extra.detect_anomaly=3"],
            r"detect_anomaly: expected true or false for Trainer, but got 3",
        ),
        (
            ["trainer.extra.strategy=deepspeed"],
            r"trainer.extra.strategy: expected one of auto, ddp, .*'deepspeed'",
        ),
    ],
)
def test_a_mistake_is_explained(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_sections(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [SCHEDULE, "schedule.name=StepLR", "schedule.args.step_size=2", "optimizer.schedule=cosine"],
            r"schedule: expected optimizer.schedule=constant",
        ),
        (
            [SCHEDULE, "schedule.name=OneCycleLR", "schedule.args.max_lr=1", "data=ring", "task=gan"],
            r"schedule: expected null",
        ),
        (
            [TORCH, "optimizer.name=Adagrad", SCHEDULE, "schedule.name=OneCycleLR", "schedule.args.max_lr=1"],
            r"schedule.args: OneCycleLR refuses its arguments: .*momentum",
        ),
        (
            ["callbacks=[LearningRateMonitor]", "logging.tensorboard=false", "logging.csv=false"],
            r"callbacks\[0\]: expected a logger for LearningRateMonitor",
        ),
        (["callbacks=[TQDMProgressBar]"], r"trainer.progress_bar: expected false beside TQDMProgressBar"),
    ],
)
def test_what_does_not_suit_each_other_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_config(words)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.exec",
        "subprocess.Popen",
        "pickle.loads",
        "torch.load",
        "lightning.pytorch.callbacks.os.system",
        "lightning.pytorch.callbacks.lr_monitor.Trainer",
        "lightning.pytorch.Trainer",
        "lightning.pytorch.callbacks.Callback",
        "torch.optim.lr_scheduler.partial",
        "torch.optim.SGD",
        "..os.system",
        "",
    ],
)
def test_nothing_else_is_run(target: str, tmp_path: Path) -> None:
    file = tmp_path / "touched"
    arguments = f"command: 'touch {file}', args: [touch, '{file}']"
    for entry in (
        f"{{_target_: '{target}', {arguments}}}",
        f"{{_target_: EarlyStopping, monitor: {{_target_: '{target}'}}}}",
    ):
        if entry.startswith("{_target_: E") and target == "torch.optim.SGD":
            continue  # of an allowed kind, but no text
        with pytest.raises(ConfigError, match=r"callbacks\[0\].* but got"):
            build_sections([f"callbacks=[{entry}]"])
    assert not file.exists()


@pytest.mark.parametrize("word", ["_partial_: true", "_args_: [a]", "_recursive_: false", "_convert_: all"])
def test_words_of_hydra_change_nothing(word: str) -> None:
    with pytest.raises(ConfigError, match=f"{word.split(':')[0]}: expected"):
        build_sections([f"callbacks=[{{_target_: ModelCheckpoint, {word}}}]"])
    with pytest.raises(ConfigError, match=f"{word.split(':')[0]}: expected plain arguments"):
        build_sections([f"callbacks=[{{_target_: ModelSummary, extra: {{{word}}}}}]"])


def test_classes_are_found_by_their_names() -> None:
    monitor = "lightning.pytorch.callbacks.LearningRateMonitor"
    for name in (
        monitor.rpartition(".")[2],
        monitor,
        LearningRateMonitor.__module__ + ".LearningRateMonitor",
    ):
        assert find_class("callback", name, "key") is LearningRateMonitor
    assert find_class("callback", "late", "key") is Counter
    register("optimizer", "mine", SGD)
    try:
        assert find_class("optimizer", "mine", "key") is SGD
    finally:
        PARTS["optimizer"].pop("mine")


def test_arguments_that_name_classes_become_objects() -> None:
    built: Any = build_part(
        Counter, {"limit": {"_target_": "ModelCheckpoint", "monitor": "a"}, "factor": [1]}, "k"
    )
    assert isinstance(built.limit, ModelCheckpoint)
    assert built.limit.monitor == "a"
    assert built.factor == [1]
    assert type(built.factor) is list
