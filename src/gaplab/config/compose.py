"""Compose the configuration with Hydra and turn it into a checked ``Config``; no torch is imported."""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from gaplab.config.checks import nearest
from gaplab.config.data import DataConfig
from gaplab.config.errors import explain
from gaplab.config.extensions import (
    absolute,
    check_loaded,
    check_offered,
    check_recorded,
    load_extensions,
    load_given,
)
from gaplab.config.hydra_versions import DEFAULTS
from gaplab.config.named_classes import allow
from gaplab.config.network import NetworkConfig
from gaplab.config.optimizer import OptimizerConfig
from gaplab.config.projects import CONFIG_DIR
from gaplab.config.registry import CHOICES
from gaplab.config.renamed import new_key
from gaplab.config.schema import Config
from gaplab.config.task import TaskConfig
from gaplab.errors import ConfigError

COMPOSE_ERRORS = (
    *(HydraException, OmegaConfBaseException, yaml.YAMLError),
    *(ValueError, TypeError, AttributeError, KeyError, AssertionError),
)
"""What Hydra and OmegaConf raise at a mistake; some of their checks are bare assertions, some are left to Python."""
LARGEST = 2**63 - 1
"""A tensor holds no larger whole number."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Composed:
    """A configuration in the three forms that a run needs."""

    config: Config
    """Typed and checked: what the program reads."""
    resolved: dict[str, Any]
    """Plain values: what is saved, and from which ``restore`` makes the same ``config``."""
    overrides: list[str]
    """What the user typed."""
    varied: list[str] = field(default_factory=list)
    """Keys in which the jobs of its sweep differ; empty for a run that belongs to none."""
    number: int | None = None
    """Its place among the jobs of its sweep."""


def compose_config(overrides: Sequence[str], config_dir: Path = CONFIG_DIR) -> Composed:
    """Compose ``configs/config.yaml`` with the overrides of a command line.

    Raises:
        ConfigError: With one readable message for any mistake in the overrides or the YAML files.
    """
    return take_apart(compose_tree(overrides, config_dir), list(overrides))


def take_apart(tree: DictConfig, overrides: list[str]) -> Composed:
    """Make a ``Composed`` of a whole tree, which loses its ``hydra`` section.

    Raises:
        ConfigError: As ``convert``.
    """
    choices = dict(OmegaConf.select(tree, "hydra.runtime.choices"))
    with open_dict(tree):
        tree.pop("hydra")
    return convert(tree, choices, overrides)


def convert(tree: DictConfig, choices: dict[str, Any], overrides: list[str]) -> Composed:
    """Make a ``Composed`` of a tree without the ``hydra`` section and of the choices that led to it.

    Raises:
        ConfigError: For an unknown key, a wrong type, or values that do not fit together.
    """
    if not OmegaConf.is_interpolation(tree.run, "name") and tree.run.name is None:
        tree.run.name = str(choices.get("experiment") or "default").replace("/", "_")
    config = to_config(tree)
    allow(config.task.named_classes)
    tree.extensions = config.extensions = absolute(config.extensions)
    check_loaded(config.extensions)
    resolved = OmegaConf.to_container(tree, resolve=True, enum_to_str=True)
    assert isinstance(resolved, dict), "the root of the configuration is a mapping"
    content = {str(key): value for key, value in resolved.items()}
    content["data"] = {**content["data"], **config.data.settled()}
    overrides = [
        word for word in overrides if not word.lstrip("+").startswith("run.again=")
    ]  # of one command
    content["choices"] = {
        group: name for group, name in choices.items() if group.split("@")[0] in (*CHOICES, "experiment")
    }
    return Composed(config=config, resolved=what_is_used(content, config), overrides=overrides)


def what_is_used(content: dict[str, Any], config: Config) -> dict[str, Any]:
    """Return plain values without the sections that the task of a configuration does not use.

    They are the defaults again when the values are read.
    """
    unused = config.task.unused
    used = {key: value for key, value in content.items() if not (key in unused and isinstance(value, dict))}
    return used | {"choices": {k: name for k, name in content["choices"].items() if k not in unused}}


def restore(saved: dict[str, Any], where: str) -> Config:
    """Make the ``Config`` of a saved run from plain values. Nothing named in them is executed.

    Raises:
        ConfigError: If the values do not describe a run of this version.
    """
    return to_config(merge_saved(saved, where))


def merge_saved(saved: dict[str, Any], where: str) -> DictConfig:
    """Return the tree of a saved run: the groups that it chose, with its values."""
    values = dict(saved)
    choices = values.pop("choices", None)
    if not isinstance(choices, dict):
        raise ConfigError(f"{where}: expected the configuration of a run, but it has no section 'choices'.")
    check_recorded(values.get("extensions"), where)
    refuse_interpolations(values, where)
    groups = {group: name for group, name in choices.items() if name and group.split("@")[0] in CHOICES}
    check_offered(groups, where)
    tree = compose_tree([f"{group}={name}" for group, name in groups.items()])
    with open_dict(tree):
        tree.pop("hydra", None)
    if gone := _take_out_unknown(values, tree):
        _log.warning(
            "%s: %s: no such key exists now; what the run had there is left out.", where, ", ".join(gone)
        )
    try:
        merged = OmegaConf.merge(tree, values)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{where}: {explain(error)}") from error
    assert isinstance(merged, DictConfig), "a mapping merged with a mapping"
    return merged


def _take_out_unknown(values: dict[str, Any], tree: DictConfig, prefix: str = "") -> list[str]:
    """Take keys out of the values of an old run that its sections do not have any more; return their names.

    Hydra's own, which begin with an underscore, stay and are refused.
    """
    gone = []
    for key in list(values):
        if is_dataclass(OmegaConf.get_type(tree)) and key not in tree and not str(key).startswith("_"):
            del values[key]
            gone.append(f"{prefix}{key}")
            continue
        inner = tree.get(key) if isinstance(values[key], dict) else None
        if isinstance(inner, DictConfig):
            values[key] = dict(values[key])
            gone += _take_out_unknown(values[key], inner, f"{prefix}{key}.")
    return gone


def compose_tree(overrides: Sequence[str], config_dir: Path = CONFIG_DIR) -> DictConfig:
    """Compose with Hydra, with its own ``hydra`` section.

    Raises:
        ConfigError: For any mistake; one of which Hydra does not say where it is names the override that makes it.
    """
    load_extensions()
    outer = GlobalHydra.instance().hydra  # a session of the user's own, in a notebook or his own program
    GlobalHydra.instance().hydra = None
    try:
        load_given(overrides)
        return _compose(overrides, config_dir)
    except COMPOSE_ERRORS as error:
        mistake = str(explain(error))
        if not mistake.startswith("configs/") and not any(_names(mistake, word) for word in overrides):
            mistake = f"{_first_refused(overrides, config_dir)}: {mistake}"
        raise ConfigError(mistake) from error
    finally:
        GlobalHydra.instance().hydra = outer


def _first_refused(overrides: Sequence[str], config_dir: Path) -> str:
    """Return the first override with which nothing can be composed."""
    for number, word in enumerate(overrides):
        try:
            _compose(overrides[: number + 1], config_dir)
        except COMPOSE_ERRORS:
            return word
    return " ".join(overrides)


def _names(mistake: str, word: str) -> bool:
    """Whether a message begins with the key of an override, or with the section that the key is in."""
    key, subject = word.lstrip("+~").partition("=")[0], mistake.lstrip("'+~").partition(":")[0]
    return key != "" and (subject.startswith(key) or key.startswith(subject))


def _compose(overrides: Sequence[str], config_dir: Path) -> DictConfig:
    GlobalHydra.instance().hydra = None
    with initialize_config_dir(str(config_dir), **DEFAULTS):
        return compose("config", overrides=list(overrides), return_hydra_config=True)


def to_config(tree: DictConfig) -> Config:
    """Convert Hydra's tree to dataclasses; every check of a setting runs here."""
    refuse_unknown_keys(tree, Config, "")
    tree = copy.deepcopy(tree)
    try:
        resolve(tree)
        config = OmegaConf.to_object(tree)
    except (OmegaConfBaseException, AssertionError, TypeError) as error:
        raise explain(error) from error
    assert isinstance(config, Config), "the schema of the root is Config"
    refuse_huge_numbers(OmegaConf.to_container(tree), "")
    for group, options in CHOICES.items():
        section = getattr(config, group)
        if type(section) in (DataConfig, NetworkConfig, TaskConfig, OptimizerConfig):
            raise ConfigError(f"{group}: expected one of {', '.join(options)}, but got no option at all.")
    return config


def refuse_unknown_keys(tree: DictConfig, schema: type, path: str) -> None:
    """Raise ``ConfigError`` for a key that no dataclass has, which ``+key=value`` lets pass."""
    names = [field.name for field in fields(schema)]
    for key in map(str, tree):
        if key not in names:
            if (new := new_key(f"{path}{key}")) is not None:
                raise ConfigError(f"{path}{key}: this key is called {new} now.")
            raise ConfigError(
                f"{path}{key}: expected a key of {schema.__name__}, but there is no such key."
                f"{nearest(key, names)} The keys are: {', '.join(names)}."
            )
        node = tree._get_node(key)
        if isinstance(node, DictConfig):
            inner = node._metadata.object_type
            if isinstance(inner, type) and is_dataclass(inner):
                refuse_unknown_keys(node, inner, f"{path}{key}.")


def resolve(tree: DictConfig, prefix: str = "") -> None:
    """Put what interpolations stand for in their places, where it must have the type of the place.

    ``OmegaConf.to_object`` takes it without a look; errors of ``OmegaConf.resolve`` do not name the key.
    """
    for key in list(tree):
        node = tree._get_node(key)
        if node is not None and node._is_interpolation():
            try:
                tree[key] = tree[key]
            except OmegaConfBaseException as error:
                error.full_key = error.full_key or f"{prefix}{key}"
                raise
        elif isinstance(node, DictConfig) and not node._is_none():
            resolve(node, f"{prefix}{key}.")


def refuse_huge_numbers(content: Any, path: str) -> None:
    """Raise ``ConfigError`` for a whole number that no tensor holds."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        full = f"{path}[{key}]" if isinstance(content, list) else f"{path}.{key}".lstrip(".")
        if isinstance(value, dict | list):
            refuse_huge_numbers(value, full)
        elif isinstance(value, int) and abs(value) > LARGEST:
            raise ConfigError(f"{full}: expected a whole number below 2^63, but got {value}.")


def refuse_interpolations(content: Any, where: str) -> None:
    """Raise ``ConfigError`` for a value of a saved run that would be looked up elsewhere, such as ``${oc.env:X}``."""
    if isinstance(content, str) and "${" in content:
        raise ConfigError(f"{where}: expected plain values, as a run writes them, but got {content!r}.")
    if isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            refuse_interpolations(value, where)
