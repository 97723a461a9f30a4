"""Hydra, which reads our files once, merges those of equal choices once, and then copies what it made of them.

Most of the time of a small test was Hydra's: it reads, orders and merges the same thirty files for every run.
The overrides of single keys are still read and applied by Hydra, and every check of ours sees every configuration.
"""

import copy
from collections.abc import Iterator
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList, Overrides
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig

from gaplab.config.projects import CONFIG_DIR

OWN_SOURCES = {("hydra", "hydra.conf"), ("main", str(CONFIG_DIR)), ("schema", "")}
"""Sources that stay as they are for as long as tests run, but for what is registered."""
_lists: dict[Any, DefaultsList] = {}
_trees: dict[int, DictConfig] = {}
_files: dict[str, ConfigResult] = {}
# As at the beginning of a command: doctests import gaplab's plugins, which must not come before Hydra's.
Plugins.instance()
FileSource: Any = SourcesRegistry.instance().resolve("file")
_read = FileSource.load_config
_order, _merge = config_loader_impl.create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list


def remember() -> None:
    """Let Hydra remember, for the rest of this process."""
    FileSource.load_config = _read_once
    config_loader_impl.create_defaults_list = _order_once
    ConfigLoaderImpl._compose_config_from_defaults_list = _merge_once  # type: ignore[method-assign]


def _read_once(source: Any, config_path: str) -> ConfigResult:
    if source.path != str(CONFIG_DIR):
        return _read(source, config_path)
    if config_path not in _files:
        _files[config_path] = _read(source, config_path)
    return copy.deepcopy(_files[config_path])


def _order_once(repo: Any, config_name: Any, overrides_list: Any, **options: bool) -> DefaultsList:
    if {(source.provider, source.path) for source in repo.get_sources()} != OWN_SOURCES:
        return _order(repo, config_name, overrides_list, **options)
    read = Overrides(repo=repo, overrides_list=overrides_list)
    groups = repr((read.override_choices, read.append_group_defaults, read.deletions))
    registered = tuple(_Same(node) for node in _nodes(ConfigStore.instance().repo))
    key = (config_name, groups, *options.items(), registered)
    if key not in _lists:
        _lists[key] = _order(repo, config_name, overrides_list, **options)
    made = copy.copy(_lists[key])
    made.config_overrides = read.config_overrides
    return made


def _merge_once(loader: ConfigLoaderImpl, defaults: Any, repo: Any) -> DictConfig:
    if not any(defaults is made.defaults for made in _lists.values()):
        return _merge(loader, defaults, repo)
    if id(defaults) not in _trees:
        _trees[id(defaults)] = _merge(loader, defaults, repo)
    return copy.deepcopy(_trees[id(defaults)])


class _Same:
    """Equal to itself only; whoever keeps it keeps its object."""

    def __init__(self, node: object) -> None:
        self.node = node

    def __hash__(self) -> int:
        return id(self.node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.node is self.node


def _nodes(folder: dict[str, Any]) -> Iterator[object]:
    for entry in folder.values():
        if isinstance(entry, dict):
            yield from _nodes(entry)
        else:
            yield entry
