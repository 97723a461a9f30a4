"""A builder given to ``register`` is called for every group, and goes before the class's own method."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.optim import SGD

from gaplab import register
from gaplab.config.compose import compose_config
from gaplab.config.network import NetworkConfig
from gaplab.config.optimizer import AdamConfig, OptimizerConfig, SGDConfig
from gaplab.config.registry import CHOICES, build_choice
from gaplab.config.task import ClassificationConfig
from gaplab.config.trainer import TrainerConfig
from gaplab.errors import ConfigError
from gaplab.runs.results import Result
from gaplab.sweeps.grouping import obstacle
from gaplab.train import run_one
from quick_runs import QUICK, QUICK_GAN

CALLS: list[tuple[Any, ...]] = []


@dataclass(kw_only=True, slots=True)
class HalvedConfig(SGDConfig):
    """Built as an SGD of half the learning rate."""


def build_halved(config: HalvedConfig, parameters: list[nn.Parameter]) -> SGD:
    CALLS.append((config, parameters))
    return SGD(parameters, lr=config.lr / 2)


@dataclass(kw_only=True, slots=True)
class CountedConfig(TrainerConfig):
    """Has one callback more."""

    word: str = ""


class Count(Callback):
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        CALLS.append((trainer.global_step,))


def build_counted(config: CountedConfig, **settings: Any) -> Trainer:
    CALLS.append((config.word, settings))
    return Trainer(**settings | {"callbacks": [*settings["callbacks"], Count()]})


@dataclass(kw_only=True, slots=True)
class ReseededConfig(ClassificationConfig):
    """Built as a classifier; its builder is found by name."""


def build_reseeded(section: ReseededConfig, config: Any, data: Any, init_stream: Any) -> Any:
    CALLS.append((section, config.task))
    return ClassificationConfig.build(section, config, data, init_stream.manual_seed(5))


@dataclass(kw_only=True, slots=True)
class WiderConfig(NetworkConfig):
    """A linear map by its own method."""

    def build(self, in_features: int, out_features: int, generator: Any) -> nn.Module:
        CALLS.append((self, in_features, out_features))
        return nn.Linear(in_features, out_features)


@dataclass(kw_only=True, slots=True)
class OwnStepConfig(AdamConfig):
    """Inherits a stacked rule that its own method does not follow."""

    def build(self, parameters: list[nn.Parameter]) -> SGD:
        return SGD(parameters, lr=self.lr)


@dataclass(kw_only=True, slots=True)
class RenamedConfig(AdamConfig):
    """Adam under another name."""


@pytest.fixture(scope="module", autouse=True)
def own_choices() -> Iterator[None]:
    """Other tests go through the whole table, so these choices leave it at the end."""
    before = {group: dict(choices) for group, choices in CHOICES.items()}
    register("optimizer", "halved", HalvedConfig, build_halved)
    register("trainer", "counted", CountedConfig, build_counted)
    register("task", "reseeded", ReseededConfig, f"{__name__}:build_reseeded")
    register("network", "wider", WiderConfig)
    register("optimizer", "own_step", OwnStepConfig)
    register("optimizer", "renamed", RenamedConfig)
    yield
    CHOICES.update(before)


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def trained(folder: Path, *words: str) -> Result:
    return run_one(compose_config([*words, f"run.root={folder}"]), folder / "run")


def test_an_optimizer_trains_a_classifier(tmp_path: Path) -> None:
    result = trained(tmp_path / "a", *QUICK, "optimizer=halved", "optimizer.lr=0.5")
    assert {type(config) for config, _ in CALLS} == {HalvedConfig}
    assert all(isinstance(p, nn.Parameter) for _, parameters in CALLS for p in parameters)
    plain = trained(tmp_path / "b", *QUICK, "optimizer=sgd", "optimizer.lr=0.25")
    assert result.last == plain.last


def test_an_optimizer_trains_a_gan(tmp_path: Path) -> None:
    quick = [word for word in QUICK_GAN if not word.startswith("optimizer")]
    both = ("optimizer@task.discriminator_optimizer=halved", "task.discriminator_optimizer.lr=0.02")
    result = trained(tmp_path / "a", *quick, "optimizer=halved", "optimizer.lr=0.01", *both)
    assert {config.lr for config, _ in CALLS} == {0.01, 0.02}
    both = ("optimizer@task.discriminator_optimizer=sgd", "task.discriminator_optimizer.lr=0.01")
    plain = trained(tmp_path / "b", *quick, "optimizer=sgd", "optimizer.lr=0.005", *both)
    assert result.last == plain.last


def test_a_trainer_is_built_from_the_settings_of_lightning(tmp_path: Path) -> None:
    result = trained(tmp_path / "a", *QUICK, "trainer=counted", "trainer.word=mine")
    (word, settings), (steps,) = CALLS
    assert (word, steps) == ("mine", 24)
    assert {"accelerator", "devices", "callbacks", "logger", "plugins"} <= settings.keys()
    assert result.last == trained(tmp_path / "b", *QUICK).last


def test_a_task_is_built_by_a_function_that_is_named(tmp_path: Path) -> None:
    result = trained(tmp_path / "a", *QUICK, "task=reseeded")
    assert len(CALLS) > 0
    assert all(section is task for section, task in CALLS)
    assert result.last != trained(tmp_path / "b", *QUICK).last


def test_a_network_is_built_by_its_own_method(tmp_path: Path) -> None:
    trained(tmp_path, *(word for word in QUICK if not word.startswith("network")), "network=wider")
    assert [(i, o) for _, i, o in CALLS] == [(2, 3)] * len(CALLS) != []


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("optimizer=halved", "the optimizer HalvedConfig has no stacked update rule"),
        ("optimizer=own_step", "the optimizer OwnStepConfig has no stacked update rule"),
        ("task=reseeded", "the task ReseededConfig has no stacked form"),
        ("optimizer=renamed", None),
        ("optimizer=adamw", None),
        ("task=gan", None),
    ],
)
def test_what_is_built_otherwise_is_not_stacked(word: str, reason: str | None) -> None:
    assert obstacle(compose_config([word, "data.num_points=300"]).config) == reason


@pytest.mark.parametrize("place", ["no_such_module:f", f"{__name__}:no_such_function", "no_colon"])
def test_a_builder_that_cannot_be_imported_is_named(place: str) -> None:
    @dataclass(kw_only=True, slots=True)
    class ElsewhereConfig(NetworkConfig):
        pass

    register("network", "elsewhere", ElsewhereConfig, place)
    with pytest.raises(ConfigError, match=f"builder of ElsewhereConfig as 'module:function', but '{place}'"):
        build_choice(ElsewhereConfig(), 2, 3, None)


def test_a_choice_without_a_builder_says_so() -> None:
    @dataclass(kw_only=True, slots=True)
    class BareConfig(OptimizerConfig):
        pass

    with pytest.raises(ConfigError, match=r"BareConfig: expected a method build, or .*register"):
        build_choice(BareConfig(), [])
