"""The Hydra that remembers, which tests run with, composes what Hydra composes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, ListConfig

import remembered_hydra
from gaplab.config import registry
from gaplab.config.compose import compose_config, compose_tree
from gaplab.config.data import DataConfig
from gaplab.config.registry import register
from gaplab.errors import ConfigError

WORDS = (
    (),
    ("seed=3", "network.widths=[5,5]", "run.root=elsewhere"),
    ("experiment=gan_ring", "task.pack=2", "optimizer=adamw"),
    ("experiment=gan_ring", "optimizer@task.discriminator_optimizer=adamw", "tags=[a]"),
    ("data=ring", "task=gan", "hydra/launcher=vectorized", "hydra.launcher.compile=false"),
    ("experiment=notebook_relu", "schedule=torch", "schedule.name=StepLR", "+tags=[b]"),
)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra as it is installed."""
    monkeypatch.setattr(remembered_hydra.FileSource, "load_config", remembered_hydra._read)
    monkeypatch.setattr(config_loader_impl, "create_defaults_list", remembered_hydra._order)
    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", remembered_hydra._merge)


def known(node: Any) -> Iterator[object]:
    """Whatever a tree knows: values, interpolations, the types that they must have, what is closed."""
    metadata = node._metadata
    yield metadata.key, metadata.ref_type, metadata.object_type, metadata.optional, metadata.flags
    content = node._content if isinstance(node, DictConfig | ListConfig) else node._value()
    inner = content.values() if isinstance(content, dict) else content
    if isinstance(content, dict | list):
        for one in inner:
            yield from known(one)
    else:
        yield content


@pytest.mark.parametrize("words", WORDS)
def test_it_composes_what_hydra_composes(words: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    first, again = (list(known(compose_tree(words))) for _ in range(2))
    others = compose_tree([*words, "trainer.max_steps=7"])
    remembered = compose_config(["data.num_points=500"])
    request.getfixturevalue("plain")
    assert first == again == list(known(compose_tree(words)))
    assert list(known(others)) == list(known(compose_tree([*words, "trainer.max_steps=7"])))
    assert remembered == compose_config(["data.num_points=500"])


def test_who_changes_a_tree_changes_no_other() -> None:
    tree = compose_tree([])
    tree.network.widths.append(3)
    tree.seed = 17
    assert compose_tree([]).seed == 0
    assert 3 not in compose_tree([]).network.widths


def test_a_choice_is_known_for_as_long_as_it_is_registered() -> None:
    @dataclass(kw_only=True, slots=True)
    class First(DataConfig):
        width: int = 1

    @dataclass(kw_only=True, slots=True)
    class Second(DataConfig):
        width: int = 2

    for config in (First, Second):
        register("data", "brief", config, lambda *given: None)
        assert compose_config(["data=brief"]).resolved["data"]["width"] == config().width
        registry._builders.pop(config)
        registry.CHOICES["data"].pop("brief")
    with pytest.raises(ConfigError, match="brieff"):
        compose_config(["data=brieff"])
