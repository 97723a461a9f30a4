"""Every shipped configuration composes, builds, trains, and survives being saved."""

from enum import StrEnum

import pytest
import torch
import yaml

from gaplab.builders import build_data_and_task, build_trainer
from gaplab.builders.process import prepare_process
from gaplab.config.compose import CONFIG_DIR, compose_config, restore
from gaplab.config.network import Activation, Block, Initialization
from gaplab.config.task import ClassificationLoss
from gaplab.errors import ConfigError
from gaplab.losses.classification import LOSSES
from gaplab.networks import ACTIVATIONS, BLOCKS, INITIALIZATIONS
from quick_runs import Compose
from shipped_choices import COMPANIONS, shipped_choices


def shipped_words() -> list[str]:
    words = shipped_choices()
    for group in ("experiment", "debug"):
        folder = CONFIG_DIR / group
        words += sorted(
            f"{group}={file.relative_to(folder).with_suffix('')}" for file in folder.rglob("*.yaml")
        )
    return [
        word for word in words if word != "task=lightning"
    ]  # which tests/system/test_lightning_projects.py trains


def few_steps(word: str) -> list[str]:
    steps = ["trainer.max_steps=2", "trainer.max_epochs=null", "trainer.eval_every_n_steps=2"]
    quiet = ["trainer.progress_bar=false", "trainer.accelerator=cpu", "trainer.devices=1"]
    few = ["task.num_samples=200", "data.num_val_points=200", "data.num_test_points=200"]
    return [word, *steps, *quiet, *(few if word.startswith("experiment=gan") else [])]


def test_one_class_is_not_enough_to_classify() -> None:
    with pytest.raises(ConfigError, match=r"task: expected .*task=gan"):
        build_data_and_task(compose_config(["data=swiss_roll"]).config)


@pytest.mark.parametrize("word", shipped_words())
def test_shipped_choice_composes_trains_and_is_restored(word: str) -> None:
    composed = compose_config([*few_steps(word), *COMPANIONS.get(word, [])])
    saved = yaml.safe_load(yaml.safe_dump(composed.resolved))
    assert restore(saved, "config.yaml") == composed.config
    prepare_process(composed.config)
    data, task = build_data_and_task(composed.config)
    start = [parameter.clone() for parameter in task.parameters()]
    trainer = build_trainer(composed.config, callbacks=[], loggers=[])
    trainer.fit(task, datamodule=data)
    assert trainer.global_step == 2
    assert any(not torch.equal(a, b) for a, b in zip(start, task.parameters(), strict=True))
    assert {task.monitor.format(split=split) for split in ("train", "test")} <= task.scorecard().keys()


@pytest.mark.parametrize(
    ("choices", "table"),
    [
        (Activation, ACTIVATIONS),
        (Block, BLOCKS),
        (Initialization, INITIALIZATIONS),
        (ClassificationLoss, LOSSES),
    ],
)
def test_names_in_the_configuration_are_those_of_the_tables(
    choices: type[StrEnum], table: dict[str, object]
) -> None:
    assert {choice.value for choice in choices} == table.keys()
    assert all(choice.name == choice.value for choice in choices), "the user types the name"


@pytest.mark.parametrize(
    "words", ["optimizer=sgd optimizer.momentum=0.9", "network.block=glu network.dropout=0.5"]
)
def test_a_changed_configuration_is_restored(quick: Compose, words: str) -> None:
    composed = quick(*words.split())
    assert restore(composed.resolved, "config.yaml") == composed.config


def test_a_saved_configuration_with_unknown_values_is_refused(quick: Compose) -> None:

    saved = quick().resolved
    with pytest.raises(ConfigError, match="somewhere: .*network.widths"):
        restore(saved | {"network": {"widths": "wide"}}, "somewhere")
    with pytest.raises(ConfigError, match="somewhere: .*'choices'"):
        restore({"seed": 0}, "somewhere")
